//! Packages that could be added: the build root's, because that is what the app was compiled against.
//!
//! In: a name that the image lacks. Out: the package of the build root that has it, at exactly the version that
//! the plan states, so nothing is asked of the network. When steps run on another architecture than the image is
//! for, a package of the build root stands for the one of its name in the image's architecture.

use std::cell::OnceCell;

use super::Error;
use super::search::Target;
use super::view::View;
use crate::plan::Plan;
use crate::plan::catalogue::{Catalogue as _, RootRequest};
use crate::plan::model::{Contents, Layer, Package};
use crate::rootfs::{self, Context, Purpose};
use crate::store::{Entry, Tree};

/// The layer of what is added, when the plan states none that takes packages.
const LAYER: &str = "libraries";

/// The build root of a plan.
pub(super) struct Supply<'a> {
    plan: &'a Plan,
    context: &'a Context,
    /// The topmost layer that takes packages.
    layer: &'a str,
    root: OnceCell<Tree>,
}

/// A package with its files.
pub(super) struct Offer {
    pub(super) package: Package,
    pub(super) files: Vec<(String, Entry)>,
}

/// The layer that packages are added to: the topmost that takes any.
pub fn growing(plan: &Plan) -> &str {
    let takes_packages =
        |layer: &&Layer| layer.contents.iter().any(|part| matches!(part, Contents::RuntimeRoot {}));
    plan.layers.iter().rev().find(takes_packages).map_or(LAYER, |layer| &layer.id)
}

impl<'a> Supply<'a> {
    pub(super) fn new(plan: &'a Plan, context: &'a Context) -> Self {
        Self { plan, context, layer: growing(plan), root: OnceCell::new() }
    }

    /// The build root, composed when it is first asked.
    fn root(&self) -> Result<&Tree, Error> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let root = rootfs::compose(&self.plan.build_root, Purpose::Build, self.context)?;
        Ok(self.root.get_or_init(|| root))
    }

    /// The package that has `name` in one of `folders`, or the file at the path `name`; none for an image on a base
    /// of another release, which no package may be laid over.
    pub(super) fn owner(&self, name: &str, folders: &[String]) -> Result<Option<String>, Error> {
        let root = &self.plan.runtime_root;
        if root.image.as_ref().is_some_and(|image| image.release.as_ref() != Some(&root.base)) {
            return Ok(None);
        }
        let view = View::new(vec![self.root()?]);
        let owner = |path: &str| {
            let path = view.file(path)?;
            view.entry(&path).and_then(|entry| entry.package.clone())
        };
        if name.contains('/') {
            return Ok(owner(&self.native(name)));
        }
        Ok(folders.iter().find_map(|folder| owner(&format!("{}/{name}", self.native(folder)))))
    }

    /// Packages that have a file called `name` where no loader looks.
    pub(super) fn hidden(&self, name: &str) -> Vec<String> {
        let Ok(root) = self.root() else { return Vec::new() };
        let ending = format!("/{name}");
        let mut owners: Vec<String> = root
            .iter()
            .filter(|(path, _)| path.ends_with(&ending))
            .filter_map(|(_, entry)| entry.package.clone())
            .collect();
        owners.sort();
        owners.dedup();
        owners
    }

    /// The package called `name`; nothing when the build root does not have it.
    pub(super) fn offer(&self, name: &str) -> Result<Option<Offer>, Error> {
        let Some(package) = self.plan.build_root.packages.iter().find(|package| package.name == name) else {
            return Ok(None);
        };
        if self.is_cross() {
            return self.foreign(name).map(Some);
        }
        let package = Package { layer: self.layer.to_owned(), ..package.clone() };
        Ok(Some(Offer { files: files_of(self.root()?, name), package }))
    }

    /// Whether steps run on another architecture than the image is for.
    fn is_cross(&self) -> bool {
        self.plan.build_root.architecture != self.plan.runtime_root.architecture
    }

    /// The package of this name in the image's architecture.
    fn foreign(&self, name: &str) -> Result<Offer, Error> {
        let request = RootRequest {
            base: self.plan.runtime_root.base.clone(),
            architecture: self.plan.runtime_root.architecture.clone(),
            packages: [(name.to_owned(), self.layer.to_owned())].into(),
            closure: false,
            with_dependencies: Vec::new(),
            image: None,
        };
        let mut root = self.context.root(&request).map_err(Error::Catalogue)?;
        let tree = rootfs::compose(&root, Purpose::Runtime, self.context)?;
        let files = files_of(&tree, name);
        Ok(Offer { package: root.packages.swap_remove(0), files })
    }

    /// A path of the image as it is in the build root, where folders have the name of its architecture.
    fn native(&self, path: &str) -> String {
        let triplet = |architecture| Target::debian(architecture).map(|target| target.triplet);
        let (image, build) =
            (triplet(&self.plan.runtime_root.architecture), triplet(&self.plan.build_root.architecture));
        match (image, build) {
            (Some(image), Some(build)) if image != build => path.replace(image, build),
            _ => path.to_owned(),
        }
    }
}

fn files_of(tree: &Tree, package: &str) -> Vec<(String, Entry)> {
    tree.iter()
        .filter(|(_, entry)| entry.package.as_deref() == Some(package))
        .map(|(path, entry)| (path.to_owned(), entry.clone()))
        .collect()
}
