//! Whether pages of Next.js use fonts that its build fetches.

use super::super::Files;
use super::Package;

/// What a page imports for them, as a text of its language: <https://nextjs.org/docs/app/getting-started/fonts>.
const MODULE: [&str; 2] = ["\"next/font/google\"", "'next/font/google'"];
const EXTENSIONS: [&str; 6] = ["js", "jsx", "mjs", "ts", "tsx", "mts"];

/// Whether a program of the app imports them.
pub(super) fn are_remote(files: &Files<'_>, package: Option<&Package>) -> bool {
    let is_program =
        |path: &&str| path.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension));
    let imports = |line: &str| {
        !line.trim_start().starts_with("//") && MODULE.iter().any(|module| line.contains(module))
    };
    package.is_some_and(|package| package.dependencies.contains_key("next"))
        && files
            .paths()
            .filter(is_program)
            .filter_map(|path| files.program(path))
            .any(|text| text.lines().any(imports))
}
