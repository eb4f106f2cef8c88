//! Memory: an arena that is never freed, and the functions that compiled code calls by C's names.

use core::ffi::c_char;
use core::mem;

use crate::syscall;

const CHUNK: usize = 64 * 1024;

/// Memory for strings and vectors that live as long as the process.
pub(crate) struct Arena {
    free: &'static mut [u8],
}

impl Arena {
    pub(crate) fn new() -> Self {
        Self { free: &mut [] }
    }

    /// Zeroed bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> &'static mut [u8] {
        if self.free.len() < length {
            self.free = zeroed(length.max(CHUNK));
        }
        let (bytes, free) = mem::take(&mut self.free).split_at_mut(length);
        self.free = free;
        bytes
    }

    /// A null-terminated string made of `parts`.
    pub(crate) fn string(&mut self, parts: &[&[u8]]) -> *const c_char {
        let bytes = self.bytes(parts.iter().map(|part| part.len()).sum::<usize>() + 1);
        let mut end = 0;
        for part in parts {
            bytes[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        bytes.as_ptr().cast()
    }

    /// Null pointers. They have pages of their own, so they are aligned.
    #[expect(clippy::unused_self, reason = "one place to ask for memory")]
    pub(crate) fn pointers(&mut self, length: usize) -> &'static mut [*const c_char] {
        let bytes = zeroed(length * size_of::<*const c_char>());
        // SAFETY: pages are aligned for pointers, belong to nobody else, and zero bytes are null pointers.
        unsafe { core::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), length) }
    }
}

/// Values that live as long as the process, each made by `make`.
pub(crate) fn slice<T>(length: usize, mut make: impl FnMut() -> T) -> &'static mut [T] {
    let first = zeroed(length * size_of::<T>()).as_mut_ptr().cast::<T>();
    for at in 0..length {
        // SAFETY: the pages have room for `length` values, are aligned for any type, and belong to nobody else.
        unsafe { first.add(at).write(make()) };
    }
    // SAFETY: all of them have been written.
    unsafe { core::slice::from_raw_parts_mut(first, length) }
}

/// Fresh pages.
fn zeroed(length: usize) -> &'static mut [u8] {
    match syscall::map(length) {
        // SAFETY: the kernel gave us `length` zeroed bytes that nothing else refers to.
        Some(address) => unsafe { core::slice::from_raw_parts_mut(address, length) },
        None => crate::fail(&[b"out of memory"]),
    }
}

// The compiler calls these for copies, comparisons and C strings. Without a C library they are ours. Plain loops
// do not become calls to themselves, because the crate is `no_builtins`.

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(target: *mut u8, source: *const u8, length: usize) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller promises that both areas are valid for `length` bytes.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") length => _, inout("rdi") target => _, inout("rsi") source => _,
            options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    for at in 0..length {
        // SAFETY: as above.
        unsafe { *target.add(at) = *source.add(at) };
    }
    target
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(target: *mut u8, source: *const u8, length: usize) -> *mut u8 {
    if target.cast_const() <= source {
        for at in 0..length {
            // SAFETY: the caller promises that both areas are valid; ascending order reads before it overwrites.
            unsafe { *target.add(at) = *source.add(at) };
        }
    } else {
        for at in (0..length).rev() {
            // SAFETY: as above, in descending order.
            unsafe { *target.add(at) = *source.add(at) };
        }
    }
    target
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(target: *mut u8, byte: i32, length: usize) -> *mut u8 {
    for at in 0..length {
        // SAFETY: the caller promises that the area is valid for `length` bytes.
        unsafe { *target.add(at) = byte.to_le_bytes()[0] };
    }
    target
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    for at in 0..length {
        // SAFETY: the caller promises that both areas are valid for `length` bytes.
        let (left, right) = unsafe { (*left.add(at), *right.add(at)) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(left, right, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    let mut length = 0;
    // SAFETY: the caller promises a terminated string.
    while unsafe { *text.add(length) } != 0 {
        length += 1;
    }
    length
}
