//! The plan as a JSON document: what `rpack plan --json` prints and `rpack build --plan` reads.

use serde::Deserialize;

use super::model::{FORMAT, Plan, Step};
use super::{Error, needs};
use crate::oci::to_canonical_json;
use crate::store::tree::is_clean;

/// What is read before anything else, so that a newer format is named and not its first unknown field.
#[derive(Deserialize)]
struct Header {
    format: Option<u64>,
}

impl Plan {
    /// The document: sorted keys, no white space, one line.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = to_canonical_json(self).expect("a plan has string keys and no failing serialiser");
        bytes.push(b'\n');
        bytes
    }

    /// The media types of the image's layers, those of the base image among them.
    pub fn layer_types(&self) -> Vec<&str> {
        let base = self.runtime_root.image.iter().flat_map(|image| &image.layers);
        base.map(|layer| layer.media_type.as_str()).chain([self.image.compression.media_type()]).collect()
    }

    /// Reads one document or several, one after the other, for different platforms.
    pub fn list_from_json(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        let mut documents = serde_json::Deserializer::from_slice(bytes).into_iter::<serde::de::IgnoredAny>();
        let (mut plans, mut start) = (Vec::new(), 0);
        while let Some(Ok(_)) = documents.next() {
            let end = documents.byte_offset();
            plans.push(Self::from_json(&bytes[start..end])?);
            start = end;
        }
        // What is left is no document: this says why, and so it does when there is nothing at all.
        if plans.is_empty() || !bytes[start..].trim_ascii().is_empty() {
            plans.push(Self::from_json(&bytes[start..])?);
        }
        let mut platforms: Vec<&str> = plans.iter().map(|plan| plan.platform.as_str()).collect();
        platforms.sort_unstable();
        if let Some([twice, _]) = platforms.windows(2).find(|pair| pair[0] == pair[1]) {
            let reason = format!("two plans are for {twice}");
            return Err(Error::Format { reason, line: 0, column: 0 });
        }
        Ok(plans)
    }

    /// Reads a document that [`to_json`](Self::to_json) wrote, perhaps edited since.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        let header: Header = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        match header.format {
            Some(format) if format == u64::from(FORMAT) => {}
            found => {
                let found = found.map_or("none".to_owned(), |format| format.to_string());
                let reason = format!("its `format` is {found}, and {FORMAT} is needed");
                return Err(Error::Format { reason, line: 0, column: 0 });
            }
        }
        let plan: Self = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        let layers = plan.alternatives.iter().filter_map(|one| one.layers.as_ref()).chain([&plan.layers]);
        let checks = layers.map(|layers| needs::check_layers(layers, &plan.steps));
        let checked =
            checks.chain([needs::check(&plan.steps), check_folders(&plan.steps)]).collect::<Result<(), _>>();
        checked.map_err(|reason| Error::Format { reason, line: 0, column: 0 })?;
        Ok(plan)
    }
}

/// What is wrong with the caches of steps and with the folders that they keep.
fn check_folders(steps: &[Step]) -> Result<(), String> {
    for step in steps {
        let is_name = |id: &str| is_clean(id) && !id.contains(['/', '\0']);
        if let Some(id) = step.caches.keys().find(|id| !is_name(id)) {
            return Err(format!("the step `{}` uses the cache `{id}`, which is no name", step.id));
        }
        let is_path =
            |path: &str| path.strip_prefix('/').is_some_and(|path| is_clean(path) && !path.contains('\0'));
        let wrong = step.incremental.iter().find(|path| !is_path(path.strip_prefix('!').unwrap_or(path)));
        if let Some(path) = wrong {
            return Err(format!(
                "the step `{}` keeps `{path}`, which is no absolute path without empty, `.` and `..` parts",
                step.id
            ));
        }
    }
    Ok(())
}

fn wrong(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&place).unwrap_or(&text).to_owned();
    Error::Format { reason, line: error.line(), column: error.column() }
}
