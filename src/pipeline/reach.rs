//! The way to registries: clients with what this machine and the configuration say of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Error, Session, boxed};
use crate::config::{Config, Environment};
use crate::oci::registry::{Credentials, Places, Registry, Settings};
use crate::{http, rootfs, store};

/// The way to registries, as the machine and `config` say.
pub fn registry(session: &Session, config: &Config) -> Registry {
    let client = http::Client::new(http::Options { offline: session.offline, ..http::Options::default() });
    Registry::new(client, registry_settings(config), credentials(session))
}

fn credentials(session: &Session) -> Credentials {
    Credentials::new(Places {
        home: session.environment.home().map(Path::to_owned),
        environment: texts(&session.environment),
        runtime: Some(PathBuf::from(format!("/run/containers/{}", rustix::process::getuid()))),
    })
}

/// Everything that `rootfs` needs, with the endpoints of this machine. One serves planning and building, so that
/// no client on the machine is asked twice where its registry is.
pub fn rootfs_context(session: &Session, config: &Config) -> Result<rootfs::Context, Error> {
    let client = http::Client::new(http::Options { offline: session.offline, ..http::Options::default() });
    let machine = rootfs::Machine {
        observer: session.observer.clone(),
        answers: Some(session.store.clone()),
        ..rootfs::Machine::new(
            PathBuf::from("/"),
            session.environment.home().map(Path::to_owned),
            texts(&session.environment),
        )
    };
    let endpoints = rootfs::Endpoints::new(machine, &config.mirrors, &session.definitions).map_err(boxed)?;
    let (store, reporter) = (session.store.clone(), session.reporter.clone());
    let context =
        rootfs::Context::new(store, client, reporter, session.definitions.clone(), endpoints, store::now());
    let (settings, credentials) = (registry_settings(config), credentials(session));
    Ok(context
        .with_images(config.folder.clone(), settings, credentials)
        .observed_by(session.observer.clone()))
}

fn registry_settings(config: &Config) -> Settings {
    let mirrors = config
        .registry_mirrors
        .iter()
        .map(|(host, mirror)| (host.clone(), (mirror.value.clone(), mirror.origin.to_string())));
    let insecure = config.insecure_registries.iter().map(|host| host.value.clone());
    Settings { mirrors: mirrors.collect(), insecure: insecure.collect() }
}

/// The variables that are UTF-8; addresses and names of files are.
fn texts(environment: &Environment) -> BTreeMap<String, String> {
    let text = |(name, value): (&std::ffi::OsStr, &std::ffi::OsStr)| {
        Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
    };
    environment.iter().filter_map(text).collect()
}
