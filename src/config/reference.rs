//! The reference of all keys, `docs/configuration.md`, written from the schema.

use std::fmt::Write as _;

use super::schema::{self, KEYS, Merge};

/// The whole document.
pub fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    for key in &KEYS {
        let merge = match key.merge() {
            Merge::Replace => "the strongest statement wins",
            Merge::Append => "statements add up",
            Merge::Map => "the strongest statement wins, for each entry",
        };
        let mut variables = vec![key.variable(None)];
        if !key.words.is_empty() {
            variables = key.words.iter().map(|word| key.variable(Some(word))).collect();
            variables.extend(key.words.iter().filter_map(|word| schema::short(key, word)));
        }
        let variables: Vec<String> = variables.iter().map(|name| format!("`{name}`")).collect();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n### `{}`\n\n{}\n\n```toml\n{}\n```\n\n- Type: {}; {merge}.\n- Environment: {}.\n- Since {}.\n",
            key.name,
            key.doc,
            key.example,
            key.kind.title(),
            variables.join(", "),
            key.since,
        );
    }
    text.push_str(
        "\n## The machine\n\nThese variables change where rpack works, never what is in an image.\n\n",
    );
    for (name, doc) in schema::MACHINE {
        let _ = writeln!(text, "- `{name}`: {doc}");
    }
    text.push_str(FURTHER);
    text
}

const INTRODUCTION: &str = r#"# Configuration

<!-- Written from src/config/schema.rs; a test fails when it is out of date. -->

Nothing needs to be configured. What is, is said in one of three places, from the weakest to the strongest:

1. `rpack.toml` at the root of the source tree,
2. environment variables: `RPACK_` and the key in capitals, with `__` for each dot and `_` for each `-`,
3. flags of the command.

A key that does not exist, a value of the wrong type and a key given twice are errors that name the place. A
variable that starts with `RPACK_` and means nothing is a warning, and an error with `strict` or where `CI` is set.

A list adds to what weaker places say; the first of equal elements is kept. `{ add = ["a"], remove = ["b"] }` also
takes elements out, and `{ set = ["a"] }` starts anew. In a variable or flag a list is words separated by spaces
or commas, and a value that starts with `[` or `{` is TOML:

```sh
RPACK_BUILD__PACKAGES="git libvips-dev" rpack build
RPACK_BUILD__PACKAGES='{ remove = ["git"] }' rpack build
RPACK_RUNTIME__ENV__LOG_LEVEL=debug rpack build
```

## Keys
"#;

const FURTHER: &str = r"- `NO_COLOR`: without colours, whatever the value.
- `CI`: lines instead of moving bars, and unknown variables are errors.
- `SOURCE_DATE_EPOCH`: the time, in seconds since 1970, that the image carries instead of the commit's.
";
