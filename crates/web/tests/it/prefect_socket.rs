//! Prefect's event socket over a real connection: the pong and the close are the durable acknowledgement.

use crate::serving::Served;
use crate::world::{UNSTORABLE, secret};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use trackside_identity::role::Role;

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn event(number: usize) -> Message {
    let event = json!({
        "id": format!("01a1f9cc-bd40-7ba1-9a3b-{number:012}"), "occurred": "2026-11-19T02:00:00Z",
        "event": "prefect.task-run.Completed", "resource": {"prefect.resource.id": "prefect.task-run.1"},
    });
    Message::text(event.to_string())
}

async fn connect(served: &Served) -> Client {
    let mut request = format!("ws://{}/api/events/in", served.address).into_client_request().expect("an address");
    request.headers_mut().insert("sec-websocket-protocol", "prefect".parse().expect("a header"));
    let (client, response) = connect_async(request).await.expect("connected");
    assert_eq!(response.headers().get("sec-websocket-protocol").map(|name| name.as_bytes()), Some(&b"prefect"[..]));
    client
}

async fn sign_in(client: &mut Client, token: Option<&str>) -> Message {
    client.send(Message::text(json!({"type": "auth", "token": token}).to_string())).await.expect("sent");
    next(client).await
}

async fn next(client: &mut Client) -> Message {
    client.next().await.expect("an answer").expect("a frame")
}

/// Sends all of them in one piece, so that the server reads them together.
async fn send_all(client: &mut Client, messages: impl IntoIterator<Item = Message>) {
    for message in messages {
        client.feed(message).await.expect("fed");
    }
    client.flush().await.expect("sent");
}

fn close_code(message: &Message) -> Option<u16> {
    match message {
        Message::Close(Some(frame)) => Some(frame.code.into()),
        _ => None,
    }
}

#[tokio::test]
async fn a_pong_comes_when_everything_before_the_ping_is_stored() {
    let served = Served::new().await;
    let mut client = connect(&served).await;
    // Prefect's client pings before it says who it is.
    client.send(Message::Ping(Bytes::from_static(b"hello"))).await.expect("sent");
    assert_eq!(next(&mut client).await, Message::Pong(Bytes::from_static(b"hello")));
    let greeting = sign_in(&mut client, Some(&secret(Role::Ingest))).await;
    assert_eq!(greeting, Message::text(r#"{"type":"auth_success"}"#));

    let ping = |number: u8| Message::Ping(Bytes::copy_from_slice(&[number]));
    send_all(&mut client, (0..700).map(event).chain([ping(1)])).await;
    assert_eq!(next(&mut client).await, Message::Pong(Bytes::from_static(&[1])));
    assert_eq!(served.stored().await, 700);
    // The client lost the connection's pong and sends again: nothing is stored twice.
    send_all(&mut client, (600..701).map(event).chain([ping(2)])).await;
    assert_eq!(next(&mut client).await, Message::Pong(Bytes::from_static(&[2])));
    assert_eq!(served.stored().await, 701);
    served.stop().await;
}

#[tokio::test]
async fn the_answer_to_a_close_comes_when_everything_before_it_is_stored() {
    let served = Served::new().await;
    let mut client = connect(&served).await;
    sign_in(&mut client, Some(&secret(Role::Ingest))).await;
    send_all(&mut client, (0..3).map(event).chain([Message::Close(None)])).await;
    assert!(matches!(next(&mut client).await, Message::Close(_)));
    assert_eq!(served.stored().await, 3);
    served.stop().await;
}

#[tokio::test]
async fn no_pong_for_what_could_not_be_stored() {
    let served = Served::new().await;
    for last in [Message::Ping(Bytes::from_static(b"?")), Message::Close(None)] {
        let mut client = connect(&served).await;
        sign_in(&mut client, Some(UNSTORABLE)).await;
        send_all(&mut client, [event(0), last]).await;
        // Neither a pong nor a close: the connection breaks, and Prefect's client sends again.
        let answer = client.next().await;
        assert!(!matches!(answer, Some(Ok(_))), "{answer:?}");
    }
    assert_eq!(served.stored().await, 0);
    served.stop().await;
}

#[tokio::test]
async fn a_frame_that_is_no_event_is_passed_over() {
    let served = Served::new().await;
    let mut client = connect(&served).await;
    sign_in(&mut client, Some(&format!("user:{}", secret(Role::Ingest)))).await;
    let junk = ["", "{", "[]", r#"{"event": 7}"#].map(Message::text);
    send_all(&mut client, junk.into_iter().chain([event(1), Message::Ping(Bytes::new())])).await;
    assert_eq!(next(&mut client).await, Message::Pong(Bytes::new()));
    assert_eq!(served.stored().await, 1);
    served.stop().await;
}

#[tokio::test]
async fn who_may_not_send_is_turned_away() {
    let served = Served::new().await;
    for token in [None, Some("nonsense".to_owned()), Some(secret(Role::Admin))] {
        let mut client = connect(&served).await;
        let answer = sign_in(&mut client, token.as_deref()).await;
        assert_eq!(close_code(&answer), Some(1008), "{token:?}");
    }
    let mut client = connect(&served).await;
    client.send(event(0)).await.expect("sent");
    assert_eq!(close_code(&next(&mut client).await), Some(1008), "an event before auth");
    assert_eq!(served.stored().await, 0);
    served.stop().await;
}

/// The client for Prefect Cloud: no subprotocol, the token in the header of the upgrade, no `auth` frame.
#[tokio::test]
async fn the_cloud_client_is_admitted_by_its_header() {
    let served = Served::new().await;
    let ask = |token: String| {
        let mut request = format!("ws://{}/api/events/in", served.address).into_client_request().expect("an address");
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
        connect_async(request)
    };
    let (mut client, _) = ask(secret(Role::Ingest)).await.expect("connected");
    send_all(&mut client, [event(1), Message::Ping(Bytes::new())]).await;
    assert_eq!(next(&mut client).await, Message::Pong(Bytes::new()));
    assert_eq!(served.stored().await, 1);
    assert!(ask("nonsense".to_owned()).await.is_err(), "the upgrade is refused");
    served.stop().await;
}

#[tokio::test]
async fn a_stop_ends_the_conversation() {
    let served = Served::new().await;
    let mut client = connect(&served).await;
    sign_in(&mut client, Some(&secret(Role::Ingest))).await;
    let stop = served.stop();
    let farewell = async { close_code(&next(&mut client).await) };
    assert_eq!(tokio::join!(farewell, stop).0, Some(1001));
}
