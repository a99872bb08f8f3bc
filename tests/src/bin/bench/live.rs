//! The live feed at size: many clients, a steady stream of events, and how long each waits.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::connection::{self, Connection};
use crate::context::{BASE, Context};
use crate::report::{Figure, Row};

/// Events a second.
const RATE: u64 = 200;
/// Connections that send them.
const SENDERS: u64 = 8;
/// Visitors that they are of.
const VISITORS: u64 = 100;
/// How long the last events may take to be heard everywhere before they count as lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// When a process has settled after its clients came.
const SETTLED: Duration = Duration::from_secs(1);
/// How every message of an event begins here, up to its id.
const BEFORE_ID: &[u8] = br#"{"type":"button_click","id":""#;
/// Longest latency that is recorded exactly, in microseconds.
const LONGEST: u64 = 60_000_000;

/// Adds the rows about the live feed.
///
/// # Errors
/// When a process fails.
pub(crate) async fn measure(context: &mut Context) -> Result<()> {
    let clients = context.options.live_clients();
    let events = RATE * context.options.live_length().as_secs();
    context.say(&format!("{clients} live clients, {RATE} events a second, {events} events"));
    let home = context.home("live")?;
    let limit = clients.to_string();
    let server = context.server(&home, &[("ANALYTICS_WS_MAX", &limit)]).await?;
    // What the same events cost without clients is not part of the clients' cost.
    send(server.addr, &Arc::new(Stream::new(events / 6))).await?;
    tokio::time::sleep(SETTLED).await;
    let before = server.memory()?.data;

    let stream = Arc::new(Stream::new(events));
    let mut hearing = JoinSet::new();
    for index in 0..clients {
        let socket = open(server.addr, index).await?;
        hearing.spawn(hear(socket, Arc::clone(&stream)));
    }
    tokio::time::sleep(SETTLED).await;
    send(server.addr, &stream).await?;
    let all_sent = Instant::now();
    let mut wrong = Vec::new();
    while let Some(heard) = hearing.join_next().await {
        wrong.extend(heard?.err().map(|error| format!("{error:#}")));
    }
    let memory = server.memory()?.data.saturating_sub(before) as f64 / clients as f64;
    if let Some(first) = wrong.first() {
        context.report.fault(format!("{} of {clients} live clients: {first}", wrong.len()));
    }
    server.stop().await?;

    let waits = stream.waits.lock().unwrap_or_else(PoisonError::into_inner);
    let millis = |quantile: f64| Some(waits.value_at_quantile(quantile) as f64 / 1_000.0);
    let mut row = Row::new("live feed, from the answer to the client");
    row.connections = Some(clients);
    row.rate = Some(waits.len() as f64 / all_sent.duration_since(stream.began).as_secs_f64());
    (row.p50_ms, row.p99_ms) = (millis(0.5), millis(0.99));
    context.report.add(row.at_most(Figure::P99, 50.0));
    let row = Row::of("memory a live client", memory / 1_024.0, "KiB");
    context.report.add(row.at_most(Figure::Value, 10.0));
    Ok(())
}

/// What is sent, and what is known of its arrival.
struct Stream {
    began: Instant,
    /// When each event was answered, in microseconds since the beginning; 0 is not yet.
    answered: Vec<AtomicU64>,
    /// How long after its answer each client heard each event, in microseconds.
    waits: Mutex<Histogram<u64>>,
}

impl Stream {
    fn new(events: u64) -> Self {
        let answered = (0..events).map(|_| AtomicU64::new(0)).collect();
        let waits = Histogram::new_with_max(LONGEST, 3).unwrap_or_else(|_| unreachable!("constant bounds"));
        Self { began: Instant::now(), answered, waits: Mutex::new(waits) }
    }

    fn micros(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// Notes that a client heard these events at this instant. One that is heard before its answer
    /// has been read has not waited.
    fn heard(&self, numbers: &[u64]) {
        let now = self.micros();
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            let answered = self.answered[*number as usize].load(Ordering::Relaxed);
            let wait = if answered == 0 { 0 } else { now.saturating_sub(answered) };
            waits.saturating_record(wait);
        }
    }
}

/// Sends all events, each at its time, whether or not the one before was answered in time.
async fn send(to: SocketAddr, stream: &Arc<Stream>) -> Result<()> {
    let start = Instant::now();
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let stream = Arc::clone(stream);
        senders.spawn(async move {
            let mut connection = Connection::open(to, usize::try_from(sender)?).await?;
            for number in (sender..stream.answered.len() as u64).step_by(SENDERS as usize) {
                let due = start + Duration::from_micros(number * 1_000_000 / RATE);
                tokio::time::sleep_until(due.into()).await;
                let answer = connection.exchange(&event(number)?).await?;
                ensure!(answer.status == 201, "answered {}", answer.status);
                stream.answered[number as usize].store(stream.micros().max(1), Ordering::Relaxed);
            }
            Ok(())
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(())
}

/// A request whose event has its number in the last 12 digits of its id.
fn event(number: u64) -> Result<Vec<u8>> {
    let now = jiff::Timestamp::now().as_millisecond();
    let mut counter = [0; 10];
    counter[2..].copy_from_slice(&number.to_be_bytes());
    let id = uuid::Builder::from_unix_timestamp_millis(now as u64, &counter).into_uuid();
    // Few visitors: what the store remembers of many would count as the clients' memory.
    let visitor = uuid::Uuid::from_u64_pair(1, number % VISITORS);
    let body = format!(
        r#"{{"event_type":"button_click","event_id":"{id}","visitor_id":"{visitor}","page_url":"/cv?theme=backend","event_data":{{"button":"cta","x":45.2,"y":20}}}}"#
    );
    let length = body.len();
    Ok(format!("POST {BASE}/event HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes())
}

/// Opens a live connection and reads the answer to the upgrade, and nothing behind it.
async fn open(to: SocketAddr, index: usize) -> Result<TcpStream> {
    let mut socket = connection::connect(to, index).await?;
    let request = "GET /ws/analytics HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.context("no answer to the upgrade")?);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    Ok(socket)
}

/// Listens until every event was heard, once.
async fn hear(mut socket: TcpStream, stream: Arc<Stream>) -> Result<()> {
    let mut missing = stream.answered.len();
    let mut heard = vec![false; missing];
    let mut input = Vec::with_capacity(4_096);
    let mut numbers = Vec::new();
    while missing > 0 {
        let read = tokio::time::timeout(PATIENCE, socket.read_buf(&mut input)).await;
        let read = read.with_context(|| format!("{missing} events were not heard"))??;
        ensure!(read > 0, "the server closed the connection with {missing} events unheard");
        let mut at = 0;
        while let Some((opcode, text, length)) = frame(&input[at..]) {
            if opcode == PING {
                socket.write_all(&pong(text)).await?;
            }
            ensure!(!text.starts_with(br#"{"type":"gap"#), "was told of a gap");
            if let Some(number) = number(text) {
                let seen = heard.get_mut(number as usize).context("an event that was not sent")?;
                ensure!(!std::mem::replace(seen, true), "event {number} came twice");
                missing -= 1;
                numbers.push(number);
            }
            at += length;
        }
        input.drain(..at);
        stream.heard(&numbers);
        numbers.clear();
    }
    Ok(())
}

const PING: u8 = 9;

/// The first frame: its opcode, its payload, and its length with its head; none while it is not all
/// there. A server's frames are not masked, and none here is 64 KiB long.
fn frame(input: &[u8]) -> Option<(u8, &[u8], usize)> {
    let [first, second, ..] = *input else { return None };
    let (head, length) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes([*input.get(2)?, *input.get(3)?]))),
        short => (2, usize::from(short)),
    };
    Some((first & 0x0f, input.get(head..head + length)?, head + length))
}

/// A client's frames are masked; zeros are a mask, too.
fn pong(payload: &[u8]) -> Vec<u8> {
    [&[0x8a, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

/// The number of the event that a message is about, if it is about one.
fn number(text: &[u8]) -> Option<u64> {
    let id = text.strip_prefix(BEFORE_ID)?.get(24..36)?;
    u64::from_str_radix(std::str::from_utf8(id).ok()?, 16).ok()
}
