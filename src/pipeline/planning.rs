//! Planning with the lock in front of the outside world.

use std::path::Path;

use super::{App, Checkout, Error, Session, boxed, detect, machine};
use crate::config::Config;
use crate::detect::Detection;
use crate::plan::lock::{self, Difference, Lock, Locked, Mode};
use crate::plan::{self, Notice, Plan};
use crate::rootfs;

/// Decides everything, once for each platform of the app.
pub fn plans(
    app: &App,
    checkout: &Checkout,
    detection: &Detection,
    context: &rootfs::Context,
    session: &Session,
) -> Result<Vec<Plan>, Error> {
    let plan = |platform: &String| plan(app, platform, checkout, detection, context, session);
    app.platforms.iter().map(plan).collect()
}

/// Decides everything for one platform: versions, packages, steps, layers, start command. What is locked is used;
/// what is not is resolved with a notice, or is an error when the configuration says `locked`.
pub fn plan(
    app: &App,
    platform: &str,
    checkout: &Checkout,
    detection: &Detection,
    context: &rootfs::Context,
    session: &Session,
) -> Result<Plan, Error> {
    let is_locked = checkout.config.locked;
    let Some(lock) = &checkout.lock else {
        if is_locked {
            return Err(boxed(lock::Error::Missing));
        }
        return plan_with(context, app, platform, checkout, detection, session);
    };
    session.reporter.info(&lock.summary());
    let mode = if is_locked { Mode::Refuse } else { Mode::Resolve };
    let locked = Locked::new(Some(lock), context, platform, mode);
    let planned = plan_with(&locked, app, platform, checkout, detection, session);
    let mut places = places(&checkout.config);
    let known = locked.known(&places);
    if is_locked && planned.is_err() && !known.is_empty() {
        return Err(boxed(lock::Error::Drift { differences: known }));
    }
    let mut plan = planned?;
    places.add(&plan);
    let wanted = lock::record(&plan, &locked)?;
    let mut differences = lock::compare(&lock.only(platform), &wanted, &places);
    differences.extend(locked.missing(&places));
    if is_locked && !differences.is_empty() {
        return Err(boxed(lock::Error::Drift { differences }));
    }
    if !differences.is_empty() {
        plan.notices.push(outdated(&differences));
    }
    Ok(plan)
}

/// Makes the lock that the app wants now, for each of its platforms, with what changed. Nothing is written.
pub fn lock(
    app: &App,
    mode: &Mode,
    checkout: &Checkout,
    context: &rootfs::Context,
    session: &Session,
) -> Result<(Lock, Vec<Difference>), Error> {
    let detection = detect(checkout, session)?;
    let old = checkout.lock.clone().unwrap_or_default();
    let mut new = Lock { images: old.images.clone(), ..Lock::default() };
    let mut places = places(&checkout.config);
    for platform in &app.platforms {
        let locked = Locked::new(checkout.lock.as_ref(), context, platform, mode.clone());
        let plan = plan_with(&locked, app, platform, checkout, &detection, session)?;
        places.add(&plan);
        new = new.with(&lock::record(&plan, &locked)?);
    }
    let differences = lock::compare(&old, &new, &places);
    Ok((new, differences))
}

fn plan_with(
    catalogue: &dyn plan::Catalogue,
    app: &App,
    platform: &str,
    checkout: &Checkout,
    detection: &Detection,
    session: &Session,
) -> Result<Plan, Error> {
    let options = plan::Options {
        platform: platform.to_owned(),
        build_platform: machine().to_owned(),
        platforms: app.platforms.clone(),
        source_date_epoch: session.environment.source_date_epoch().map_err(boxed)?,
        folder_name: folder_name(&checkout.home),
    };
    let commit = checkout.source.commit.as_ref();
    plan::plan(detection, &checkout.config, commit, &session.definitions, catalogue, &options).map_err(boxed)
}

/// Where the configuration asks for packages.
fn places(config: &Config) -> lock::Places {
    let packages = config.build_packages.iter().chain(&config.runtime_packages);
    let packages = packages.map(|package| (package.value.clone(), package.origin.to_string())).collect();
    lock::Places { packages, ..lock::Places::default() }
}

/// What to say of a lock that the build does not follow in all.
fn outdated(differences: &[Difference]) -> Notice {
    let names: Vec<String> =
        differences.iter().take(5).map(|difference| format!("`{}`", difference.name)).collect();
    let more = match differences.len().saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let text = format!(
        "`{}` is out of date: {}{more} differ; `rpack lock` brings it up to date and shows how",
        lock::NAME,
        names.join(", ")
    );
    Notice { id: "lock/outdated".to_owned(), text, warning: true }
}

/// The name of the folder, also for `.`.
fn folder_name(root: &Path) -> String {
    let absolute = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    absolute.file_name().map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned())
}
