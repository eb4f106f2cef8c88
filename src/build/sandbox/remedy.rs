//! Which settings of a machine stand in the way of a sandbox, and how to change them.

use super::probe::Tier;
use rustix::thread::CapabilitySet;

/// What to do when the folder for results lies on an overlay file system, as a container's own root does.
pub(super) const UPPER: &str = "put rpack's store on a volume, an `emptyDir` or a tmpfs: \
     `docker run -v rpack:/root/.cache/rpack …`, or `rpack build --store DIR` with `DIR` on such a file system";

/// The settings that decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a machine, not states")]
pub(super) struct Settings {
    /// `user.max_user_namespaces`.
    pub(super) max_user_namespaces: Option<u64>,
    /// Debian's `kernel.unprivileged_userns_clone`.
    pub(super) unprivileged_clone: Option<u64>,
    /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`.
    pub(super) apparmor_restricts: Option<u64>,
    /// Whether a system call filter is active, as in containers.
    pub(super) filtered: bool,
    /// Whether privileges cannot be gained.
    pub(super) no_new_privileges: bool,
    /// Whether this is root without the capability that mapping root into a user namespace takes.
    pub(super) bare_root: bool,
    /// Whether `chroot` is permitted.
    pub(super) may_chroot: bool,
}

impl Settings {
    /// Those of this machine and process.
    pub(super) fn read() -> Self {
        let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map_or("", str::trim).to_owned()
        };
        let capabilities = rustix::thread::capabilities(None).map(|sets| sets.effective);
        Self {
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            filtered: field("Seccomp") == "2",
            no_new_privileges: field("NoNewPrivs") == "1",
            bare_root: rustix::process::geteuid().is_root()
                && !capabilities.is_ok_and(|held| held.contains(CapabilitySet::SETFCAP)),
            may_chroot: capabilities.is_ok_and(|held| held.contains(CapabilitySet::SYS_CHROOT)),
        }
    }

    /// What is left where namespaces are refused.
    pub(super) fn weakest(&self) -> Tier {
        if self.may_chroot { Tier::C } else { Tier::D }
    }

    /// What to change, most likely cause first; never empty. `only_proc` when just a fresh `/proc` is refused.
    pub(super) fn remedies(&self, only_proc: bool) -> Vec<String> {
        let mut found = Vec::new();
        if only_proc {
            found.push(
                "this container masks parts of `/proc`: start it with `--security-opt systempaths=unconfined`"
                    .to_owned(),
            );
            return found;
        }
        if self.max_user_namespaces == Some(0) {
            found.push(
                "user namespaces are turned off: `sudo sysctl -w user.max_user_namespaces=15000`".to_owned(),
            );
        }
        if self.unprivileged_clone == Some(0) {
            found.push(
                "user namespaces are for root only here: `sudo sysctl -w kernel.unprivileged_userns_clone=1`"
                    .to_owned(),
            );
        }
        if self.apparmor_restricts.is_some_and(|value| value != 0) {
            found.push(
                "AppArmor restricts user namespaces: \
                 `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, a profile for rpack with \
                 `userns,`, or run rpack with `sudo`"
                    .to_owned(),
            );
        }
        if self.filtered {
            found.push(
                "the container's seccomp profile refuses namespaces: start it with \
                 `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`"
                    .to_owned(),
            );
        }
        if self.bare_root {
            found.push(
                "root without `CAP_SETFCAP` cannot make a user namespace: run rpack as another user of the \
                 container, or start it with `--cap-add SETFCAP`"
                    .to_owned(),
            );
        }
        if self.no_new_privileges && found.is_empty() {
            found.push(
                "the container allows no new privileges: start it without `no-new-privileges`".to_owned(),
            );
        }
        if found.is_empty() {
            found.push("run rpack as root, or in a container with `--cap-add SYS_ADMIN`".to_owned());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_names_its_own_setting() {
        let cases = [
            (
                Settings { max_user_namespaces: Some(0), ..Settings::default() },
                "user.max_user_namespaces=15000",
            ),
            (Settings { unprivileged_clone: Some(0), ..Settings::default() }, "unprivileged_userns_clone=1"),
            (
                Settings { apparmor_restricts: Some(1), ..Settings::default() },
                "restrict_unprivileged_userns=0",
            ),
            (Settings { filtered: true, ..Settings::default() }, "seccomp=unconfined"),
            (Settings { no_new_privileges: true, ..Settings::default() }, "no-new-privileges"),
            (Settings { bare_root: true, ..Settings::default() }, "--cap-add SETFCAP"),
            (Settings::default(), "--cap-add SYS_ADMIN"),
        ];
        for (settings, expected) in cases {
            let remedies = settings.remedies(false);
            assert_eq!(remedies.len(), 1, "{remedies:?}");
            assert!(remedies[0].contains(expected), "{remedies:?}");
        }
    }

    #[test]
    fn a_masked_process_list_has_one_remedy() {
        let remedies = Settings { filtered: true, ..Settings::default() }.remedies(true);
        assert_eq!(remedies.len(), 1);
        assert!(remedies[0].contains("systempaths=unconfined"));
    }

    #[test]
    fn chroot_decides_between_weak_and_nothing() {
        assert_eq!(Settings { may_chroot: true, ..Settings::default() }.weakest(), Tier::C);
        assert_eq!(Settings::default().weakest(), Tier::D);
    }
}
