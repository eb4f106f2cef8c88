//! The image's config (<https://github.com/opencontainers/image-spec/blob/main/config.md>).

use serde_json::{Value, json};

use super::{Base, Error, LayerDescriptor, LayerInput};
use crate::oci::image::{ContainerConfig, Empty, History, ImageConfig, Platform, RootFs};
use crate::plan::model::Image;

/// How rpack signs the history of its layers: the layer's id follows.
pub const MADE_BY: &str = "rpack ";

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST_SECOND: i64 = 253_402_300_799;

/// The config for `layers`, whose blobs are `descriptors` in the same order.
pub(super) fn config(
    platform: &Platform,
    layers: &[LayerInput],
    descriptors: &[LayerDescriptor],
    image: &Image,
) -> Result<ImageConfig, Error> {
    let created = rfc3339(image.created)?;
    let some = |arguments: &[String]| (!arguments.is_empty()).then(|| arguments.to_vec());
    Ok(ImageConfig {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
        created: Some(created.clone()),
        config: ContainerConfig {
            user: image.user.clone(),
            exposed_ports: image.ports.iter().map(|port| (format!("{port}/tcp"), Empty {})).collect(),
            env: image.env.clone(),
            entrypoint: some(&image.entrypoint),
            cmd: some(&image.cmd),
            working_dir: image.working_directory.clone(),
            labels: image.labels.clone(),
            stop_signal: "SIGTERM".to_owned(),
        },
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: descriptors.iter().map(|layer| layer.diff_id).collect(),
        },
        history: layers
            .iter()
            .map(|layer| History {
                created: Some(created.clone()),
                created_by: format!("{MADE_BY}{}", layer.id),
                comment: layer.comment.clone(),
                empty_layer: false,
            })
            .collect(),
    })
}

/// The config of an image made on `base`: ours, with what the base says where we say nothing.
///
/// The base's document is edited as a value, so that fields that are not known here stay (`Healthcheck`, `Shell`).
/// Variables and labels of the base are in the plan's already. Its entrypoint and arguments are replaced.
pub(super) fn over(base: &Base, ours: &ImageConfig) -> Result<Value, Error> {
    let wrong = |reason: &str| Error::BaseConfig { reason: reason.to_owned() };
    let ours = serde_json::to_value(ours).map_err(|source| Error::Document { document: "config", source })?;
    let (Some(ours), Some(mut merged)) = (ours.as_object().cloned(), base.config.as_object().cloned()) else {
        return Err(wrong("it is not an object"));
    };
    let mut settings = merged.remove("config").unwrap_or_default();
    let mut history = merged.remove("history").unwrap_or_default();
    for (name, value) in ours {
        match name.as_str() {
            "config" => merge_settings(&mut settings, &value)?,
            "history" => history = joined_history(&history, &value, base.layers.len()),
            // What the base was made for stays, with its variant.
            "architecture" | "os" | "variant" => {}
            _ => {
                merged.insert(name, value);
            }
        }
    }
    // Of a container that no longer exists.
    for name in ["container", "container_config", "parent", "id", "docker_version"] {
        merged.remove(name);
    }
    merged.insert("config".to_owned(), settings);
    merged.insert("history".to_owned(), history);
    Ok(Value::Object(merged))
}

fn merge_settings(settings: &mut Value, ours: &Value) -> Result<(), Error> {
    if settings.is_null() {
        *settings = Value::Object(serde_json::Map::new());
    }
    let wrong = || Error::BaseConfig { reason: "its `config` is not an object".to_owned() };
    let settings = settings.as_object_mut().ok_or_else(wrong)?;
    for name in ["Entrypoint", "Cmd", "ArgsEscaped", "OnBuild"] {
        settings.remove(name);
    }
    for (name, value) in ours.as_object().into_iter().flatten() {
        let found = settings.get_mut(name);
        match (name.as_str(), found.and_then(Value::as_object_mut), value.as_object()) {
            ("ExposedPorts", Some(found), Some(value)) => {
                found.extend(value.iter().map(|(port, empty)| (port.clone(), empty.clone())));
            }
            _ => {
                settings.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(())
}

/// One entry without `empty_layer` per layer, in the order of the layers
/// (<https://github.com/opencontainers/image-spec/blob/main/config.md#properties>). A history of the base that does not
/// fit its layers is made anew.
fn joined_history(theirs: &Value, ours: &Value, layers: usize) -> Value {
    let theirs = theirs.as_array().cloned().unwrap_or_default();
    let is_layer = |entry: &&Value| entry.get("empty_layer").and_then(Value::as_bool) != Some(true);
    let mut joined = if theirs.iter().filter(is_layer).count() == layers {
        theirs
    } else {
        vec![json!({"created_by": "base image"}); layers]
    };
    joined.extend(ours.as_array().into_iter().flatten().cloned());
    Value::Array(joined)
}

pub(super) fn rfc3339(seconds: i64) -> Result<String, Error> {
    if !(0..=LAST_SECOND).contains(&seconds) {
        return Err(Error::Created(seconds));
    }
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).map_err(|_| Error::Created(seconds))
}
