//! People who find each other and talk, over real nodes.

use mainframe_node::RunningNode;
use mainframe_sdk::{
    AddContact, AddPerson, ApiError, Body, ChangeSession, Client, ContactChange, CreateGroup, CreateToken, Error,
    ErrorCode, Event, Hold, Invite, MessageState, Say, Scope, SessionKind, Standing,
};
use tempfile::TempDir;

use crate::network::{network, stop};
use crate::world::{config, start, try_start, until};

/// Somebody on a node.
#[derive(Clone)]
struct Somebody {
    client: Client,
    key: String,
}

impl Somebody {
    /// A new person whose address tells nothing, so that all relays hold what is sent to them.
    async fn on(client: Client, name: &str) -> Somebody {
        let request = AddPerson { luminosity: Some(0), ..AddPerson::named(name) };
        let key = client.add_person(&request).await.unwrap().identity;
        Somebody { client, key }
    }

    async fn card(&self) -> String {
        self.client.card(&self.key).await.unwrap().text
    }

    async fn standing(&self, other: &Somebody) -> Option<Standing> {
        let contacts = self.client.contacts(&self.key).await.unwrap();
        contacts.into_iter().find(|contact| contact.key == other.key).map(|contact| contact.standing)
    }

    async fn session_with(&self, other: &Somebody) -> String {
        let contacts = self.client.contacts(&self.key).await.unwrap();
        contacts.into_iter().find(|contact| contact.key == other.key).unwrap().session.unwrap()
    }

    async fn greet(&self, other: &Somebody, greeting: &str) {
        let request = AddContact::by(other.card().await, greeting);
        assert_eq!(self.client.add_contact(&self.key, &request).await.unwrap().key, other.key);
    }

    /// Becomes another's contact; returns their session.
    async fn befriend(&self, other: &Somebody) -> String {
        self.greet(other, "hello").await;
        until("asked", async || other.standing(self).await == Some(Standing::Asked)).await;
        other.client.accept_contact(&other.key, &self.key).await.unwrap();
        until("together", async || {
            self.standing(other).await == Some(Standing::Together)
                && other.standing(self).await == Some(Standing::Together)
        })
        .await;
        self.session_with(other).await
    }

    async fn say(&self, session: &str, text: &str) -> u64 {
        self.client.say(&self.key, session, &Say::text(text)).await.unwrap().sequence
    }

    async fn texts(&self, session: &str) -> Vec<Body> {
        let Ok(page) = self.client.session_messages(&self.key, session, 0, 1_000).await else { return Vec::new() };
        assert!(page.end);
        page.messages.into_iter().map(|message| message.body).collect()
    }

    async fn heard(&self, session: &str, texts: &[&str]) {
        let expected: Vec<Body> = texts.iter().map(|text| Body::text(*text)).collect();
        until(&format!("{texts:?}"), async || self.texts(session).await == expected).await;
    }

    async fn state(&self, session: &str, sequence: u64) -> MessageState {
        self.client.session_message(&self.key, session, sequence).await.unwrap().message.state.unwrap()
    }
}

/// Alice and Bob, on nodes of their own among three.
async fn two() -> (Vec<(TempDir, RunningNode)>, Somebody, Somebody) {
    let nodes = network(3).await;
    let alice = Somebody::on(nodes[1].1.client(), "alice").await;
    let bob = Somebody::on(nodes[2].1.client(), "bob").await;
    (nodes, alice, bob)
}

async fn next_change(events: &mut mainframe_sdk::EventStream, wanted: impl Fn(&Event) -> bool) -> Event {
    use futures::StreamExt;
    let found = async {
        loop {
            let event = events.next().await.unwrap().unwrap();
            if wanted(&event) {
                return event;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(40), found).await.unwrap()
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> ApiError {
    let error = answer.unwrap_err();
    let Error::Api(refused) = error else { panic!("{error}") };
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_who_exchanged_a_card_talk_both_ways_though_one_of_them_sleeps_between() {
    let (mut nodes, alice, mut bob) = two().await;
    let mut events = bob.client.events(None).await.unwrap();
    alice.greet(&bob, "it is me, Alice").await;
    let asked = next_change(&mut events, |event| matches!(event, Event::Contact(_))).await;
    let Event::Contact(asked) = asked else { unreachable!("just matched") };
    assert_eq!((&asked.person, &asked.contact), (&bob.key, &alice.key));
    let greeting = "it is me, Alice".to_owned();
    assert_eq!(asked.change, ContactChange::Requested { greeting, invitation: None, accepted: false });
    let request = bob.client.contacts(&bob.key).await.unwrap().remove(0);
    assert_eq!((request.name.as_deref(), request.greeting.as_deref()), (Some("alice"), Some("it is me, Alice")));

    let session = alice.befriend(&bob).await;
    assert_eq!(bob.session_with(&alice).await, session);
    let words = alice.client.safety(&alice.key, &bob.key).await.unwrap();
    assert_eq!(bob.client.safety(&bob.key, &alice.key).await.unwrap(), words);
    let seen = bob.client.session(&bob.key, &session).await.unwrap();
    assert_eq!((seen.kind, seen.members.len()), (SessionKind::Pair, 2));

    let first = alice.say(&session, "one").await;
    bob.heard(&session, &["one"]).await;
    bob.say(&session, "two").await;
    alice.heard(&session, &["one", "two"]).await;
    until("delivered", async || alice.state(&session, first).await == MessageState::Delivered).await;
    let heard = bob.client.session_messages(&bob.key, &session, 0, 1).await.unwrap().messages.remove(0);
    assert_eq!((heard.author.as_deref(), heard.state), (Some(alice.key.as_str()), None));
    bob.client.mark_read(&bob.key, &session, heard.sequence).await.unwrap();
    until("read", async || alice.state(&session, first).await == MessageState::Read).await;
    let told = alice.client.session_message(&alice.key, &session, first).await.unwrap();
    assert!(told.persons.iter().all(|person| person.key == bob.key && person.read), "{told:?}");

    let (directory, node) = nodes.pop().unwrap();
    node.shutdown().await.unwrap();
    let mut expected = vec!["one".to_owned(), "two".to_owned()];
    for number in 0..10 {
        expected.push(format!("while you slept {number}"));
        alice.say(&session, expected.last().unwrap()).await;
    }
    let bootstrap = nodes[0].1.locators()[0].to_string();
    let node = try_start(config(directory.path(), &[("bootstrap", &bootstrap)])).await.unwrap();
    bob.client = node.client();
    let texts: Vec<&str> = expected.iter().map(String::as_str).collect();
    bob.heard(&session, &texts).await;
    bob.say(&session, "good morning").await;
    alice.heard(&session, &[&texts[..], &["good morning"]].concat()).await;
    nodes.push((directory, node));
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_removed_from_a_group_reads_no_further() {
    let (nodes, alice, bob) = two().await;
    let carol = Somebody::on(nodes[0].1.client(), "carol").await;
    alice.befriend(&bob).await;
    alice.befriend(&carol).await;
    let members = vec![bob.key.clone(), carol.key.clone()];
    let request = CreateGroup { name: "river".into(), members, luminosity: 0, hold: Hold::Day, shared_topic: true };
    let group = alice.client.create_group(&alice.key, &request).await.unwrap().id;
    let members = async |of: &Somebody| match of.client.session(&of.key, &group).await {
        Ok(session) => session.members.len(),
        Err(_) => 0,
    };
    for one in [&alice, &bob, &carol] {
        until("all three are in", async || members(one).await == 3).await;
    }
    assert!(bob.client.session(&bob.key, &group).await.unwrap().shared_topic);
    carol.say(&group, "hello both").await;
    for one in [&alice, &bob] {
        one.heard(&group, &["hello both"]).await;
    }
    let error = refusal(bob.client.remove_member(&bob.key, &group, &carol.key).await);
    assert_eq!((error.code, error.why.as_str()), (ErrorCode::AgainstTerms, "only an admin removes people"));
    let error = refusal(alice.client.leave_session(&alice.key, &group).await);
    assert_eq!(error.code, ErrorCode::AgainstTerms, "{error}");

    alice.client.remove_member(&alice.key, &group, &carol.key).await.unwrap();
    until("two are left", async || members(&bob).await == 2).await;
    alice.say(&group, "without her").await;
    bob.heard(&group, &["hello both", "without her"]).await;
    until("Carol knows", async || members(&carol).await < 3).await;
    let heard = carol.texts(&group).await;
    assert!(heard.is_empty() || heard == [Body::text("hello both")], "{heard:?}");

    let seen_by_bob = async || bob.client.session(&bob.key, &group).await.unwrap();
    alice.client.change_session(&alice.key, &group, &ChangeSession::Name("sea".into())).await.unwrap();
    until("renamed", async || seen_by_bob().await.name == "sea").await;
    alice.client.change_session(&alice.key, &group, &ChangeSession::Admin(bob.key.clone())).await.unwrap();
    until("Bob is an admin", async || seen_by_bob().await.members.iter().all(|member| member.is_admin)).await;
    let epoch = seen_by_bob().await.epoch;
    alice.client.renew_session(&alice.key, &group).await.unwrap();
    until("renewed", async || seen_by_bob().await.epoch > epoch).await;
    alice.client.leave_session(&alice.key, &group).await.unwrap();
    until("alone", async || members(&bob).await == 1).await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_lets_one_in_without_a_question_until_it_is_taken_back() {
    let (nodes, alice, bob) = two().await;
    let terms = Invite { accept: true, ..Invite::default() };
    let invitation = alice.client.invite(&alice.key, &terms).await.unwrap();
    assert!(invitation.picture.len() < 210 && invitation.link.len() > 1_000);
    bob.client.add_contact(&bob.key, &AddContact::by(&invitation.picture, "scanned")).await.unwrap();
    until("together", async || bob.standing(&alice).await == Some(Standing::Together)).await;
    let view = alice.client.invitations(&alice.key).await.unwrap().invitations.remove(0);
    assert_eq!((view.id.as_str(), view.once, view.accept, view.used), (invitation.id.as_str(), true, true, 1));
    alice.client.withdraw_invitation(&alice.key, &invitation.id).await.unwrap();
    assert!(alice.client.invitations(&alice.key).await.unwrap().invitations.is_empty());
    let error = refusal(alice.client.withdraw_invitation(&alice.key, &invitation.id).await);
    assert_eq!(error.code, ErrorCode::NotFound);
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_blocked_is_not_heard() {
    let (nodes, alice, bob) = two().await;
    bob.client.block_contact(&bob.key, &alice.key).await.unwrap();
    alice.greet(&bob, "let me in").await;
    let carol = Somebody::on(nodes[0].1.client(), "carol").await;
    carol.befriend(&bob).await;
    assert_ne!(bob.standing(&alice).await, Some(Standing::Asked), "Carol was heard long after");
    let error = refusal(bob.client.add_contact(&bob.key, &AddContact::by(alice.card().await, "")).await);
    assert_eq!((error.code, error.why.as_str()), (ErrorCode::Conflict, "this contact is blocked; unblock it first"));
    bob.client.unblock_contact(&bob.key, &alice.key).await.unwrap();
    let contacts = bob.client.contacts(&bob.key).await.unwrap();
    assert!(contacts.iter().all(|contact| !contact.blocked));
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_principal_sees_neither_anothers_people_nor_what_they_do() {
    let nodes = network(3).await;
    let admin = nodes[1].1.client();
    let token = async |principal: &str, scopes: &[Scope]| {
        let request = CreateToken { principal: principal.into(), scopes: scopes.to_vec() };
        Client::connect(admin.url(), admin.create_token(&request).await.unwrap().token)
    };
    let all = [Scope::Persons, Scope::Read, Scope::Send];
    let ada = Somebody::on(token("ada", &all).await, "ada").await;
    let eve = Somebody::on(token("eve", &all).await, "eve").await;
    let mut mine = ada.client.events(None).await.unwrap();
    let mut hers = eve.client.events(None).await.unwrap();
    let bob = Somebody::on(nodes[2].1.client(), "bob").await;
    let session = ada.befriend(&bob).await;
    ada.say(&session, "between us").await;
    bob.heard(&session, &["between us"]).await;
    next_change(&mut mine, |event| matches!(event, Event::Session(_))).await;
    for code in [
        refusal(eve.client.card(&ada.key).await).code,
        refusal(eve.client.contacts(&ada.key).await).code,
        refusal(eve.client.sessions(&ada.key).await).code,
        refusal(eve.client.session_messages(&ada.key, &session, 0, 9).await).code,
        refusal(eve.client.session_messages(&eve.key, &session, 0, 9).await).code,
        refusal(eve.client.say(&ada.key, &session, &Say::text("x")).await).code,
        refusal(eve.client.invite(&ada.key, &Invite::default()).await).code,
    ] {
        assert_eq!(code, ErrorCode::NotFound);
    }
    assert!(eve.client.sessions(&eve.key).await.unwrap().sessions.is_empty());
    assert_eq!(admin.sessions(&ada.key).await.unwrap().sessions.len(), 1);
    // Her own greeting is the first she hears of.
    ada.greet(&eve, "hello Eve").await;
    let heard = next_change(&mut hers, |event| matches!(event, Event::Contact(_) | Event::Session(_))).await;
    let Event::Contact(heard) = heard else { panic!("{heard:?}") };
    assert_eq!(heard.person, eve.key);

    let reader = token("ada", &[Scope::Read]).await;
    assert_eq!(reader.sessions(&ada.key).await.unwrap().sessions.len(), 1);
    for code in [
        refusal(reader.card(&ada.key).await).code,
        refusal(reader.say(&ada.key, &session, &Say::text("x")).await).code,
        refusal(reader.leave_session(&ada.key, &session).await).code,
    ] {
        assert_eq!(code, ErrorCode::Forbidden);
    }
    stop(nodes).await;
}

#[tokio::test]
async fn what_cannot_be_done_is_answered_with_why_and_what_next() {
    let (_directory, node) = start(&[]).await;
    let ada = Somebody::on(node.client(), "ada").await;
    let client = &ada.client;
    let (nobody, nowhere) = ("ab".repeat(32), "cd".repeat(16));
    let card = ada.card().await;
    let forged = format!("{}A{}", &card[..1_500], &card[1_501..]);
    let add =
        async |to: &str, greeting: &str| refusal(client.add_contact(&ada.key, &AddContact::by(to, greeting)).await);
    let group = async |name: &str, member: &str, luminosity: u16| {
        let members = vec![member.to_owned()];
        let request = CreateGroup { name: name.into(), members, luminosity, hold: Hold::Day, shared_topic: false };
        refusal(client.create_group(&ada.key, &request).await)
    };
    for (error, code, why) in [
        (add("hello", "").await, ErrorCode::BadRequest, "begins with `mfc:`"),
        (add(&card[..900], "").await, ErrorCode::BadRequest, "copy it again"),
        (add(&forged, "").await, ErrorCode::BadRequest, "a card"),
        (add("mfi:AAAA", "").await, ErrorCode::BadRequest, "an invitation"),
        (add(&card, "").await, ErrorCode::BadRequest, "this is your own card"),
        (refusal(client.accept_contact(&ada.key, &nobody).await), ErrorCode::NotFound, "no contact and no request"),
        (refusal(client.accept_contact(&ada.key, "ab").await), ErrorCode::BadRequest, "64 hexadecimal digits"),
        (refusal(client.block_contact(&ada.key, &ada.key).await), ErrorCode::BadRequest, "your own"),
        (refusal(client.remove_contact(&ada.key, &nobody).await), ErrorCode::NotFound, "no contact"),
        (refusal(client.card(&nobody).await), ErrorCode::NotFound, "no such person"),
        (refusal(client.session(&ada.key, &nowhere).await), ErrorCode::NotFound, "no such session"),
        (refusal(client.session(&ada.key, "cd").await), ErrorCode::BadRequest, "32 hexadecimal digits"),
        (refusal(client.say(&ada.key, &nowhere, &Say::text("x")).await), ErrorCode::NotFound, "no such conversation"),
        (refusal(client.session_message(&ada.key, &nowhere, 1).await), ErrorCode::NotFound, "no such session"),
        (refusal(client.take_back(&ada.key, &nowhere, 1).await), ErrorCode::NotFound, "no such conversation"),
        (group("river", &nobody, 0).await, ErrorCode::Conflict, "add them first"),
        (group("river", &nobody, 255).await, ErrorCode::BadRequest, "a luminosity is"),
        (group(&"x".repeat(129), &nobody, 0).await, ErrorCode::BadRequest, "128 bytes"),
        (
            refusal(client.invite(&ada.key, &Invite { hours: 0, ..Invite::default() }).await),
            ErrorCode::BadRequest,
            "1 to 8760 hours",
        ),
    ] {
        assert_eq!(error.code, code, "{error}");
        assert!(error.why.contains(why), "{error}");
        assert!(!error.what.is_empty() && !error.next.is_empty(), "{error}");
    }

    let request =
        CreateGroup { name: "alone".into(), members: vec![], luminosity: 0, hold: Hold::Day, shared_topic: false };
    let alone = client.create_group(&ada.key, &request).await.unwrap().id;
    let long = Say { body: Body::text("x".repeat(96 * 1_024 + 1)), stream: 0, kind: 0 };
    assert_eq!(refusal(client.say(&ada.key, &alone, &long).await).code, ErrorCode::TooLong);
    let of_devices = Say { kind: 128, ..Say::text("x") };
    assert_eq!(refusal(client.say(&ada.key, &alone, &of_devices).await).code, ErrorCode::BadRequest);
    assert_eq!(refusal(client.session_message(&ada.key, &alone, 9).await).code, ErrorCode::NotFound);
    let error = refusal(client.session_messages(&ada.key, &alone, 0, 0).await);
    assert!(error.why.contains("1 to 1000"), "{error}");
    node.shutdown().await.unwrap();
}
