//! The way in: the vectors that the kernel lays on the stack of a new process, and the strings in them.

use core::ffi::{CStr, c_char};

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor %ebp, %ebp",
    "mov %rsp, %rdi",
    "and $-16, %rsp",
    "call start",
    options(att_syntax)
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "mov x0, sp", "bl start");

/// Called by `_start` with the stack pointer that the kernel set up: argc, argv, null, envp, null.
///
/// # Safety
/// Only for the kernel's initial stack.
#[unsafe(no_mangle)]
unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the kernel wrote the counted argument vector and the environment there; both end with a null
    // pointer and live as long as the process.
    let (arguments, environment) = unsafe {
        let count = *stack;
        let arguments = stack.add(1).cast::<*const c_char>();
        let environment = arguments.add(count + 1);
        let mut variables = 0;
        while !(*environment.add(variables)).is_null() {
            variables += 1;
        }
        (core::slice::from_raw_parts(arguments, count), core::slice::from_raw_parts(environment, variables))
    };
    crate::run(arguments, environment)
}

/// The value of a variable; of several with one name the first, as C libraries have it.
pub(crate) fn variable(environment: &[*const c_char], name: &[u8]) -> Option<&'static [u8]> {
    entries(environment).find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
}

/// The strings of a vector, which a null pointer may end.
pub(crate) fn entries(vector: &[*const c_char]) -> impl Iterator<Item = &'static [u8]> {
    vector.iter().take_while(|pointer| !pointer.is_null()).map(|pointer| text(*pointer))
}

/// The bytes of a string of the kernel's or of the arena's, without its terminator.
pub(crate) fn text(pointer: *const c_char) -> &'static [u8] {
    let bytes = terminated(pointer);
    &bytes[..bytes.len() - 1]
}

/// The same with its terminator.
pub(crate) fn terminated(pointer: *const c_char) -> &'static [u8] {
    // SAFETY: every pointer of these vectors is a null-terminated string that is never freed nor changed.
    unsafe { CStr::from_ptr(pointer) }.to_bytes_with_nul()
}
