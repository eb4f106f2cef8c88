//! A real registry that trusts the tokens of a server: scopes, identity tokens, refusals.

use std::fs;

use serde_json::{Value, json};

use super::login::{log_in, rpack};
use crate::support::TestContext;
use crate::support::image::{index_of, layout_of, noise};
use crate::support::registry::Registry;
use crate::support::token_server::TokenServer;

#[test]
#[ignore = "needs docker-registry and openssl: run by .ci/run"]
fn tool_tokens_for_exactly_what_is_done() {
    let context = TestContext::new();
    let tokens = TokenServer::start(context.root());
    let registry = Registry::start(context.root(), "", &tokens.section());
    let host = &registry.host;
    let place = |name: &str| format!("docker://{host}/{name}");
    let layout = |name: &str| format!("oci:{}:1", context.root().join(name).display());
    let digest = index_of(&context.root().join("image"), &[noise(1, 200_000), noise(2, 10)]);

    // Nobody may push, and the refusal is the registry's: the token server gives a token that allows nothing.
    let refused = rpack(&context, &["copy", &layout("image"), &place("team/app:1")]);
    assert_eq!(refused.status, 5);
    assert!(refused.stderr.contains("asked as nobody: no credential for it was found"), "{}", refused.stderr);
    assert_eq!(tokens.take()[0], "GET nobody: repository:team/app:pull,push");
    let wrong = log_in(&context, host, "wrong", &[]);
    assert_eq!(wrong.status, 5);
    assert!(wrong.stderr.contains("UNAUTHORIZED: wrong user or password"), "{}", wrong.stderr);

    // The server gives an identity token, which is kept instead of the password.
    log_in(&context, host, "secret", &[]).success();
    assert_eq!(tokens.take(), ["GET me: "]);
    let config = fs::read(context.root().join("home/.docker/config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config, json!({"auths": {host.clone(): {"identitytoken": "lasting"}}}));

    // One token for the whole push, of an index with two images.
    let pushed = rpack(&context, &["copy", &layout("image"), &place("team/app:1")]);
    assert_eq!(pushed.success(), format!("{digest}\n"));
    assert_eq!(tokens.take(), ["POST me: repository:team/app:pull,push"]);
    // A mount needs the right to read where the blobs are.
    let pushed = rpack(&context, &["copy", &layout("image"), &place("public/app:1")]);
    assert_eq!(pushed.success(), format!("{digest}\n"));
    assert_eq!(tokens.take(), ["POST me: repository:public/app:pull,push repository:team/app:pull"]);

    // A machine without credentials: what is public is there for it, the rest is not.
    let other = TestContext::new();
    let target = format!("oci:{}:1", other.root().join("pulled").display());
    let pulled = rpack(&other, &["copy", &place("public/app:1"), &target]);
    assert_eq!(pulled.success(), format!("{digest}\n"));
    assert_eq!(tokens.take(), ["GET nobody: repository:public/app:pull"]);
    let denied = rpack(&other, &["copy", &place("team/app:1"), &target]);
    assert_eq!(denied.status, 5);
    assert!(denied.stderr.contains(&format!("log in: `rpack login {host}`")), "{}", denied.stderr);
    tokens.take();

    // Somebody else's repository: the refusal names the credential and its place.
    let foreign = rpack(&context, &["copy", &layout("image"), &place("foreign/app:1")]);
    assert_eq!(foreign.status, 5);
    let at = foreign.stderr.find("error[").unwrap();
    insta::assert_snapshot!("token_refused", foreign.stderr[at..].replace(host, "HOST"));

    // What was stored has come to an end.
    let former = json!({"auths": {host.clone(): {"identitytoken": "former"}}});
    fs::write(context.root().join("home/.docker/config.json"), former.to_string()).unwrap();
    let ended = rpack(&context, &["copy", &place("public/app:1"), &target]);
    assert_eq!(ended.status, 5);
    let named = format!("asked as an identity token from [ROOT]/home/.docker/config.json auths `{host}`");
    assert!(ended.stderr.contains(&named), "{}", ended.stderr);
    rpack(&context, &["logout", host]).success();
    layout_of(&context.root().join("image"), &[noise(3, 10)]);
    let pulled = rpack(&context, &["copy", &place("public/app:1"), &layout("pulled")]);
    assert_eq!(pulled.success(), format!("{digest}\n"));
}
