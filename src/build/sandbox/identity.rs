//! Users and capabilities: entering a user namespace with a single mapped id, and giving privileges up.
//!
//! In: the ids a command shall have. Out: what the kernel made of it, as [`Mapping`].

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};

use super::channel::{During as _, Failure, Stage};
use super::kernel;

/// What root keeps: docker's default list without MKNOD, `NET_RAW` and `AUDIT_WRITE`.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::SETFCAP);

/// The ids that exist in the present user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Whether this is the machine's first user namespace, where `trusted.*` attributes may be set.
    pub(super) initial: bool,
    /// Whether there is only one user id, so that changing owners must be emulated.
    pub(super) single: bool,
}

impl Mapping {
    /// Reads the mapping of this process.
    pub(super) fn current() -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read_to_string("/proc/self/uid_map")?))
    }

    fn parse(text: &str) -> Self {
        let ids = |line: &str| line.split_ascii_whitespace().nth(2)?.parse::<u64>().ok();
        let total: u64 = text.lines().filter_map(ids).sum();
        Self { initial: total == u64::from(u32::MAX), single: total == 1 }
    }
}

/// Whether this process may make mounts and namespaces without a user namespace.
pub(super) fn is_privileged() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Enters a user namespace in which the own ids are `uid` and `gid` and no other exists.
pub(super) fn enter_user_namespace(uid: u32, gid: u32) -> Result<(), Failure> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    kernel::unshare(UnshareFlags::NEWUSER)
        .during(Stage::Namespaces, || "create a user namespace".to_owned())?;
    let write = |file: &str, text: String| {
        let path = format!("/proc/self/{file}");
        std::fs::write(&path, text).during(Stage::Namespaces, || format!("write `{path}`"))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{uid} {user} 1"))?;
    write("gid_map", format!("{gid} {group} 1"))
}

/// Becomes `uid` and `gid` for good, with the capabilities that belong to them.
pub(super) fn assume(uid: u32, gid: u32) -> Result<(), Failure> {
    let during = |what: &'static str| move || what.to_owned();
    match rustix::thread::set_thread_groups(&[]) {
        // A user namespace made without privileges denies it; the groups it has then are unmapped.
        Ok(()) | Err(rustix::io::Errno::PERM) => {}
        Err(errno) => Err(errno).during(Stage::Other, during("drop the supplementary groups"))?,
    }
    let group = Gid::from_raw(gid);
    rustix::thread::set_thread_res_gid(group, group, group)
        .during(Stage::Other, || format!("become group {gid}"))?;
    let kept = if uid == 0 { KEPT } else { CapabilitySet::empty() };
    // Numbers beyond the kernel's last are refused, which ends the list.
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL) => break,
            Err(errno) => Err(errno).during(Stage::Other, during("drop a capability"))?,
        }
    }
    let user = Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(user, user, user)
        .during(Stage::Other, || format!("become user {uid}"))?;
    let _ = rustix::thread::clear_ambient_capability_set();
    // An outer container may have taken some already, and none can be added.
    let held = rustix::thread::capabilities(None).during(Stage::Other, during("read the capabilities"))?;
    let left = held.permitted & kept;
    let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).during(Stage::Other, during("give up capabilities"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_tell_where_owners_can_be_changed() {
        let all = "         0          0 4294967295\n";
        assert_eq!(Mapping::parse(all), Mapping { initial: true, single: false });
        assert_eq!(Mapping::parse("0 1000 1\n"), Mapping { initial: false, single: true });
        assert_eq!(Mapping::parse("0 1000 1\n1 100000 65536\n"), Mapping { initial: false, single: false });
    }
}
