//! rpack builds small, non-root, reproducible OCI images from source, without a Dockerfile and without a daemon.
//!
//! The stages, in the order in which [`pipeline`] calls them, and the types between them:
//!
//! | stage | in | out |
//! |---|---|---|
//! | [`source`] | a folder | [`source::Source`]: the files that take part, the commit |
//! | [`detect`] | the source, `detectors/*.toml` | [`detect::Detection`]: facts, evidence, the winner |
//! | [`plan`] | the detection, [`config`], `buildpacks/*/buildpack.toml` | [`plan::Plan`]: everything the rest needs |
//! | [`rootfs`] | a root of the plan, `bases/*.toml` | [`store::Tree`]: a root filesystem |
//! | [`build`] | the plan, the source, the build root | [`build::Work`]: the tree after all steps |
//! | [`prune`] | the tree after all steps | the same without packages that only development needs |
//! | [`closure`] | the plan, the layers' trees | [`closure::Closure`]: packages that files of the image need |
//! | [`cross`] | an image for another platform: its layers | nothing, or what would not start there |
//! | [`package`] | the plan's layers, the trees | [`package::Image`]: layers, config and manifest in the store |
//! | [`publish`] | the image | a tag in the store, a layout, an archive |
//! | [`rebase`](mod@rebase) | a finished image | the same on the base's packages of today, without the source |
//! | [`inspect`](mod@inspect) | a finished image, or two | what it holds, or how they differ |
//!
//! Beside them: [`http`] is the one way to the network, [`store`] the one place on disk, [`oci`] the vocabulary,
//! [`cache`] shows and prunes that and takes it elsewhere, [`ui`] is the one way to stderr, [`cli`] turns arguments
//! into options, [`init`] is the program that starts apps, [`site`] prepares files for the program that serves
//! them, [`verify`] looks at an app that runs, [`timings`] shows where the time went, [`observe`] notes what a build looks at, and [`unchanged`] answers a
//! build of which nothing changed.
//!
//! On disk: the store (`$XDG_CACHE_HOME/rpack`, laid out in [`store`]) and nothing else.

pub mod build;
pub mod cache;
pub mod cli;
pub mod closure;
pub mod config;
pub mod cross;
pub mod definitions;
pub mod detect;
#[cfg(test)]
#[path = "../tests/it/support/elf.rs"]
mod elf_file;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod http;
#[cfg(test)]
#[path = "../tests/it/support/http_head.rs"]
mod http_head;
#[cfg(test)]
#[expect(dead_code, reason = "the integration tests use the rest of it")]
#[path = "../tests/it/support/http_server.rs"]
mod http_server;
pub mod init;
pub mod inspect;
pub mod interrupt;
mod lanes;
pub mod observe;
pub mod oci;
pub mod package;
mod paths;
pub mod pipeline;
pub mod plan;
pub mod prune;
pub mod publish;
pub mod rebase;
pub mod rootfs;
pub mod site;
pub mod source;
pub mod store;
mod threads;
pub mod timings;
pub mod ui;
pub mod unchanged;
pub mod verify;
