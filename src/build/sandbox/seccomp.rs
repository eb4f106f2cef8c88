//! System call filters of a step: what is refused, and which ids are only pretended to change.
//!
//! A deny list, not an allow list: libc starts to use new system calls all the time. Several filters are installed
//! and the kernel obeys the strictest answer.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use super::channel::{Failure, Stage};

/// Refused with `EPERM` whatever the arguments are.
const DENIED: &[libc::c_long] = &[
    // Mounts.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // Namespaces.
    libc::SYS_unshare,
    libc::SYS_setns,
    // The running kernel.
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_lookup_dcookie,
    // Large attack surface that builds do without.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_open_by_handle_at,
];

/// Refused, on architectures that have them.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[libc::c_long] = &[libc::SYS_iopl, libc::SYS_ioperm];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[libc::c_long] = &[];

/// Answered with success and not done, where a single id exists.
const PRETENDED: &[libc::c_long] = &[
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
];

/// Pretended, on architectures that have them.
#[cfg(target_arch = "x86_64")]
const PRETENDED_HERE: &[libc::c_long] = &[libc::SYS_chown, libc::SYS_lchown];
#[cfg(not(target_arch = "x86_64"))]
const PRETENDED_HERE: &[libc::c_long] = &[];

/// `clone` flags that make a namespace.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Pushing input to the caller's terminal.
const TERMINAL_INPUT: [u64; 2] = [0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */];

/// The x32 calls of an x86-64 kernel carry the same architecture and this bit.
const X32: u32 = 0x4000_0000;

/// The filters for a step, in the order of installation.
pub(super) fn filters(pretend_ids: bool) -> Result<Vec<BpfProgram>, Failure> {
    let mut filters = vec![denied().map_err(|error| failure(&error))?, missing()];
    if pretend_ids {
        filters.push(pretended().map_err(|error| failure(&error))?);
    }
    Ok(filters)
}

/// Installs filters for this process and all it starts. `no_new_privs` is set with them.
pub(super) fn install(filters: &[BpfProgram]) -> Result<(), Failure> {
    for filter in filters {
        seccompiler::apply_filter(filter).map_err(|error| failure(&error))?;
    }
    Ok(())
}

fn failure(error: &dyn std::error::Error) -> Failure {
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    Failure {
        operation: "install the system call filter".to_owned(),
        errno: source.and_then(std::io::Error::raw_os_error).unwrap_or_default(),
        detail: error.to_string(),
        stage: Stage::Other,
    }
}

fn architecture() -> Result<TargetArch, seccompiler::BackendError> {
    std::env::consts::ARCH.try_into()
}

fn denied() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().chain(DENIED_HERE).map(|&number| (number, Vec::new())).collect();
    let mut clone = Vec::new();
    for flag in NAMESPACES {
        let flag = u64::from(flag.cast_unsigned());
        let operator = SeccompCmpOp::MaskedEq(flag);
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, operator, flag)?;
        clone.push(SeccompRule::new(vec![condition])?);
    }
    rules.insert(libc::SYS_clone, clone);
    let mut ioctl = Vec::new();
    for request in TERMINAL_INPUT {
        // The kernel ignores the upper half of the request, so it is not compared.
        let condition = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request)?;
        ioctl.push(SeccompRule::new(vec![condition])?);
    }
    rules.insert(libc::SYS_ioctl, ioctl);
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture()?)?.try_into()
}

fn pretended() -> Result<BpfProgram, seccompiler::BackendError> {
    let rules = PRETENDED.iter().chain(PRETENDED_HERE).map(|&number| (number, Vec::new())).collect();
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(0), architecture()?)?.try_into()
}

/// Says `ENOSYS` to `clone3`, whose flags are behind a pointer that a filter cannot read (libc falls back to
/// `clone`), and to all x32 calls, which would go round the numbers above.
///
/// Foreign architectures need no test here: the other filters end them.
fn missing() -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let clone3 = u32::try_from(libc::SYS_clone3).expect("system call numbers are small");
    let no_such_call = u32::from(SeccompAction::Errno(libc::ENOSYS.cast_unsigned()));
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        instruction(LOAD_NUMBER, 0, 0, 0),
        instruction(JUMP_EQUAL, 1, 0, clone3),
        instruction(JUMP_AT_LEAST, 0, 1, X32),
        instruction(RETURN, 0, 0, no_such_call),
        instruction(RETURN, 0, 0, u32::from(SeccompAction::Allow)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_pretended_only_when_asked_and_programs_fit_the_kernel() {
        assert_eq!(filters(false).unwrap().len(), 2);
        let filters = filters(true).unwrap();
        assert_eq!(filters.len(), 3);
        assert!(filters.iter().all(|filter| filter.len() < 4096));
    }
}
