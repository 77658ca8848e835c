//! Who is let in, and what is told to whom.

use mainframe_sdk::{
    AddPerson, AddTopic, AttendRequest, Body, Client, CreateToken, ErrorCode, Scope, SendBatch, SendRequest,
};
use reqwest::{Method, StatusCode, header};

use crate::world::start;

async fn token(admin: &Client, principal: &str, scopes: &[Scope]) -> Client {
    let request = CreateToken { principal: principal.into(), scopes: scopes.to_vec() };
    let created = admin.create_token(&request).await.unwrap();
    Client::connect(admin.url(), created.token)
}

fn code<T: std::fmt::Debug>(answer: Result<T, mainframe_sdk::Error>) -> ErrorCode {
    answer.unwrap_err().code().unwrap()
}

#[tokio::test]
async fn a_token_allows_its_scopes_and_shows_its_principals_things_only() {
    let (_directory, node) = start(&[]).await;
    let admin = node.client();
    let alice = token(&admin, "alice", &[Scope::Persons]).await;
    let bob = token(&admin, "bob", &[Scope::Persons, Scope::Read]).await;

    let person = alice.add_person(&AddPerson::named("me")).await.unwrap();
    assert_eq!(code(alice.add_person(&AddPerson::named("me")).await), ErrorCode::Conflict);
    bob.add_person(&AddPerson::named("me")).await.unwrap();
    assert_eq!(alice.persons(None).await.unwrap().persons[0], person);
    assert_eq!(admin.persons(Some(0)).await.unwrap().persons.len(), 2);
    assert_eq!(code(bob.remove_person(&person.key).await), ErrorCode::NotFound);

    let topic = alice.add_topic(&AddTopic::named("news")).await.unwrap();
    let shared = bob.add_topic(&AddTopic::with_key("news", topic.key.clone().unwrap())).await.unwrap();
    assert_eq!(shared.fingerprint, topic.fingerprint);
    alice.remove_topic(&topic.fingerprint).await.unwrap();
    assert_eq!(bob.topics().await.unwrap().topics.len(), 1);
    assert_eq!(admin.status().await.unwrap().endpoint.unwrap().topics, 1);

    assert_eq!(code(alice.status().await), ErrorCode::Forbidden);
    assert!(bob.status().await.unwrap().endpoint.is_none());
    let request = SendRequest::to(&person.address, Body::text("hello"));
    assert_eq!(code(bob.send(&request).await), ErrorCode::Forbidden);
    assert_eq!(code(bob.config().await), ErrorCode::Forbidden);
    assert_eq!(code(bob.shutdown().await), ErrorCode::Forbidden);
    assert_eq!(code(bob.metrics().await), ErrorCode::Forbidden);

    let id = admin.tokens().await.unwrap().tokens[1].id.clone();
    admin.revoke_token(&id).await.unwrap();
    assert_eq!(code(bob.status().await), ErrorCode::Unauthenticated);
    assert_eq!(code(Client::connect(admin.url(), "mfk_guess").status().await), ErrorCode::Unauthenticated);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn tokens_outlive_the_node_and_the_administrators_does_not() {
    let (directory, node) = start(&[]).await;
    let old = node.client();
    let created = old.create_token(&CreateToken { principal: "bot".into(), scopes: vec![Scope::Read] }).await.unwrap();
    let file = std::fs::read_to_string(directory.path().join("tokens.json")).unwrap();
    assert!(!file.contains(&created.token), "only its hash is kept");
    node.shutdown().await.unwrap();
    let node = crate::world::try_start(crate::world::config(directory.path(), &[])).await.unwrap();
    assert!(Client::connect(node.client().url(), created.token).status().await.is_ok());
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn requests_with_a_foreign_host_or_origin_are_refused_even_with_the_token() {
    let (directory, node) = start(&[]).await;
    let file = mainframe_sdk::EndpointFile::read(directory.path()).unwrap();
    let port = node.api_address().port();
    let http = reqwest::Client::new();
    let get = |path: &str| http.get(format!("{}{path}", file.api)).bearer_auth(&file.token);
    for (name, value) in [
        (header::HOST, format!("evil.example:{port}")),
        (header::ORIGIN, "https://evil.example".to_owned()),
        (header::ORIGIN, "null".to_owned()),
    ] {
        for path in ["/api/v1/status", "/livez", "/api/v1/openapi.json", "/metrics"] {
            let answer = get(path).header(name.clone(), &value).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name} {value} {path}");
        }
    }
    let ours = get("/api/v1/status").header(header::ORIGIN, format!("http://localhost:{port}"));
    assert_eq!(ours.send().await.unwrap().status(), StatusCode::OK);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_with_what_why_and_next() {
    let (directory, node) = start(&[]).await;
    let file = mainframe_sdk::EndpointFile::read(directory.path()).unwrap();
    let http = reqwest::Client::new();
    let call = async |method: Method, path: &str, body: String| {
        let request = http.request(method, format!("{}{path}", file.api)).bearer_auth(&file.token);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<mainframe_sdk::ApiError>().await.unwrap())
    };
    let post = async |path: &str, body: String| call(Method::POST, path, body).await;
    let long = format!("{{\"to\":\"{}\"}}", "x".repeat(70_000));
    for (answer, status, expected) in [
        (post("/api/v1/send", long).await, 413, ErrorCode::TooLarge),
        (post("/api/v1/send", "{".into()).await, 400, ErrorCode::BadRequest),
        (post("/api/v1/send", "{\"to\":\"0110\",\"body\":{\"text\":\"x\"}}".into()).await, 400, ErrorCode::BadRequest),
        (post("/api/v1/send", "{\"too\":\"0110\"}".into()).await, 400, ErrorCode::BadRequest),
        (post("/api/v1/estimate", "{\"lookups\":65}".into()).await, 400, ErrorCode::BadRequest),
        (post("/api/v1/peers", "{\"locators\":[\"example.org\"]}".into()).await, 400, ErrorCode::BadRequest),
        (post("/api/v1/persons", "{\"name\":\"\"}".into()).await, 400, ErrorCode::BadRequest),
        (post("/api/v1/regions", "{\"region\":\"2\"}".into()).await, 400, ErrorCode::BadRequest),
        (post("/api/v1/regions", "{\"region\":\"0\",\"bucket_bits\":1}".into()).await, 400, ErrorCode::BadRequest),
        (call(Method::DELETE, "/api/v1/regions/01", String::new()).await, 404, ErrorCode::NotFound),
        (call(Method::GET, "/api/v1/quote?luminosity=255", String::new()).await, 400, ErrorCode::BadRequest),
        (call(Method::GET, "/api/v1/inbox?limit=0", String::new()).await, 400, ErrorCode::BadRequest),
        (call(Method::GET, "/api/v1/nowhere", String::new()).await, 404, ErrorCode::NotFound),
        (call(Method::DELETE, "/api/v1/persons/00", String::new()).await, 404, ErrorCode::NotFound),
        (call(Method::PUT, "/api/v1/status", String::new()).await, 405, ErrorCode::MethodNotAllowed),
    ] {
        let (got, error) = answer;
        assert_eq!((got, error.code), (status, expected), "{error}");
        assert!(!error.what.is_empty() && !error.why.is_empty() && !error.next.is_empty());
    }
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_node_alone_refuses_to_send_elsewhere_and_says_why() {
    let (_directory, node) = start(&[]).await;
    let client = node.client();
    let bob = client.add_person(&AddPerson { luminosity: Some(1), ..AddPerson::named("bob") }).await.unwrap();
    let elsewhere = if bob.address.ends_with("@0") { "1" } else { "0" };
    let request = SendRequest::to(&bob.address, Body::text("hello"));
    let request = SendRequest { prefix: Some(elsewhere.into()), ..request };
    assert_eq!(code(client.send(&request).await), ErrorCode::NotConnected);
    let batch = SendBatch { messages: vec![request; 257] };
    assert_eq!(code(client.send_batch(&batch).await), ErrorCode::BadRequest);
    let quote = client.quote(256).await.unwrap();
    assert_eq!((quote.nodes, quote.region_nodes), (1, 1));
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn regions_are_listened_to_until_they_are_left_even_over_a_restart() {
    let (directory, node) = start(&[]).await;
    let client = node.client();
    let home = client.regions().await.unwrap().regions;
    assert_eq!(home.len(), 1, "its own address");
    assert_eq!(code(client.leave(&home[0].region).await), ErrorCode::Conflict);
    let since_ms = home[0].complete_until_ms - 3_600_000;
    let narrow = AttendRequest { tag: Some("abcd".into()), bucket_bits: Some(3), ..AttendRequest::to("01") };
    let attended = client.attend(&AttendRequest { since_ms: Some(since_ms), ..narrow.clone() }).await.unwrap();
    assert_eq!((attended.bucket_bits, attended.cells_per_hour, attended.candidates), (3, 0, 1));
    assert_eq!(code(client.attend(&AttendRequest::to("01")).await), ErrorCode::Conflict, "with another bucket");
    let long = format!("{}/40", "5a".repeat(5));
    for region in ["*", long.as_str()] {
        client.attend(&AttendRequest::to(region)).await.unwrap();
        client.leave(region).await.unwrap();
    }
    node.shutdown().await.unwrap();

    let node = crate::world::try_start(crate::world::config(directory.path(), &[])).await.unwrap();
    let status = node.client().status().await.unwrap();
    let told = |region: &str| status.relay.hold.attending.iter().find(|view| view.region == region).unwrap();
    assert_eq!(status.relay.hold.attending.len(), 2, "{status:?}");
    assert_eq!((told("01").bucket_bits, told("01").complete_until_ms), (3, since_ms));
    assert_eq!(told(&home[0].region).complete_until_ms, home[0].complete_until_ms);
    let reader = token(&node.client(), "reader", &[Scope::Read]).await.status().await.unwrap();
    assert!(reader.relay.hold.attending.is_empty() && reader.relay.hold.bytes_max > 0, "{reader:?}");
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_node_that_cannot_hold_runs_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("held"), "a file").unwrap();
    let node = crate::world::try_start(crate::world::config(directory.path(), &[])).await.unwrap();
    let refusing = node.client().status().await.unwrap().relay.hold.refusing.unwrap();
    assert!(refusing.what.contains("held") && !refusing.why.is_empty() && !refusing.next.is_empty(), "{refusing:?}");
    assert!(node.client().metrics().await.unwrap().contains("\nmainframe_hold_refusing 1\n"));
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn operators_see_numbers_and_liveness() {
    let (_directory, node) = start(&[]).await;
    let client = node.client();
    assert!(client.is_live().await && client.is_ready().await);
    let metrics = token(&client, "prometheus", &[Scope::Metrics]).await.metrics().await.unwrap();
    assert!(metrics.contains("# TYPE mainframe_peers gauge\nmainframe_peers 0\n"), "{metrics}");
    assert!(metrics.contains("\nmainframe_hold_refusing 0\n") && metrics.contains("\nmainframe_attended_regions 1\n"));
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_description_names_every_route_and_who_may_use_it() {
    let (_directory, node) = start(&[]).await;
    let description = node.client().openapi().await.unwrap();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"), "{}", description["openapi"]);
    let mut routes = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(path.ends_with('z') || operation["security"].is_array(), "{method} {path}");
            routes.push(format!("{method} {path}"));
        }
    }
    routes.sort();
    assert_eq!(routes, ROUTES);
    let http = reqwest::Client::new();
    for route in ROUTES.iter().filter(|route| !route.ends_with('z')) {
        let (method, path) = route.split_once(' ').unwrap();
        let method: Method = method.to_uppercase().parse().unwrap();
        let url = format!("{}{}", node.client().url(), path.replace(['{', '}'], ""));
        let answer = http.request(method, url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{route} is served, and not to everyone");
    }
    node.shutdown().await.unwrap();
}

const ROUTES: [&str; 59] = [
    "delete /api/v1/links/{link}",
    "delete /api/v1/persons/{person}",
    "delete /api/v1/persons/{person}/contacts/{contact}",
    "delete /api/v1/persons/{person}/devices/{device}",
    "delete /api/v1/persons/{person}/invitations/{invitation}",
    "delete /api/v1/persons/{person}/sessions/{session}/members/{member}",
    "delete /api/v1/persons/{person}/sessions/{session}/messages/{sequence}",
    "delete /api/v1/regions/{region}",
    "delete /api/v1/tokens/{id}",
    "delete /api/v1/topics/{fingerprint}",
    "get /api/v1/config",
    "get /api/v1/events",
    "get /api/v1/inbox",
    "get /api/v1/links",
    "get /api/v1/peers",
    "get /api/v1/persons",
    "get /api/v1/persons/{person}/card",
    "get /api/v1/persons/{person}/contacts",
    "get /api/v1/persons/{person}/contacts/{contact}/safety",
    "get /api/v1/persons/{person}/devices",
    "get /api/v1/persons/{person}/invitations",
    "get /api/v1/persons/{person}/sessions",
    "get /api/v1/persons/{person}/sessions/{session}",
    "get /api/v1/persons/{person}/sessions/{session}/messages",
    "get /api/v1/persons/{person}/sessions/{session}/messages/{sequence}",
    "get /api/v1/quote",
    "get /api/v1/regions",
    "get /api/v1/status",
    "get /api/v1/tokens",
    "get /api/v1/topics",
    "get /livez",
    "get /metrics",
    "get /readyz",
    "patch /api/v1/persons/{person}/sessions/{session}",
    "post /api/v1/estimate",
    "post /api/v1/links",
    "post /api/v1/peers",
    "post /api/v1/persons",
    "post /api/v1/persons/{person}/contacts",
    "post /api/v1/persons/{person}/contacts/{contact}/accept",
    "post /api/v1/persons/{person}/contacts/{contact}/block",
    "post /api/v1/persons/{person}/contacts/{contact}/decline",
    "post /api/v1/persons/{person}/contacts/{contact}/unblock",
    "post /api/v1/persons/{person}/devices",
    "post /api/v1/persons/{person}/export",
    "post /api/v1/persons/{person}/invitations",
    "post /api/v1/persons/{person}/sessions",
    "post /api/v1/persons/{person}/sessions/{session}/leave",
    "post /api/v1/persons/{person}/sessions/{session}/members",
    "post /api/v1/persons/{person}/sessions/{session}/messages",
    "post /api/v1/persons/{person}/sessions/{session}/read",
    "post /api/v1/persons/{person}/sessions/{session}/renew",
    "post /api/v1/regions",
    "post /api/v1/restore",
    "post /api/v1/send",
    "post /api/v1/send/batch",
    "post /api/v1/shutdown",
    "post /api/v1/tokens",
    "post /api/v1/topics",
];
