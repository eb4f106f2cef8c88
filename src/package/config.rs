//! The image's config (<https://github.com/opencontainers/image-spec/blob/main/config.md>).

use super::{Error, LayerDescriptor, LayerInput};
use crate::oci::image::{ContainerConfig, Empty, History, ImageConfig, Platform, RootFs};
use crate::plan::model::Image;

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
                created_by: format!("rpack {}", layer.id),
                comment: layer.comment.clone(),
                empty_layer: false,
            })
            .collect(),
    })
}

fn rfc3339(seconds: i64) -> Result<String, Error> {
    if !(0..=LAST_SECOND).contains(&seconds) {
        return Err(Error::Created(seconds));
    }
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).map_err(|_| Error::Created(seconds))
}
