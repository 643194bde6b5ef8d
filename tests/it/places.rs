//! `upstream.max_connections`: places are shared by all workers, and no idle connection keeps one from a request.

use futures_util::future::join_all;

use super::errors::assert_error;
use crate::gate::{Gate, World, request};
use crate::lifecycle::{asks_in_time, once_in_time};
use crate::support::raw::Wire;
use crate::websockets::{echoes, open};

/// A gate with `workers` before an upstream with `places`.
async fn world(workers: usize, places: usize) -> World {
    World::with(|setup| {
        setup
            .server(&format!("workers: {workers}"))
            .upstream(&format!("max_connections: {places}"))
    })
    .await
}

/// Connections that stay open, so that the gate deals them out among its workers.
async fn clients(gate: &Gate, count: usize) -> Vec<Wire> {
    join_all((0..count).map(|_| gate.wire())).await
}

async fn status(wire: &mut Wire) -> u16 {
    wire.send(request("GET", "/pub/x", &[], "")).await;
    wire.reply().await.status
}

#[tokio::test]
async fn an_idle_connection_of_one_worker_does_not_keep_the_others_waiting() {
    for places in [1, 2] {
        let world = world(4, places).await;
        let mut wires = clients(&world.gate, 8).await;
        for round in 0..10 {
            for wire in &mut wires {
                assert_eq!(status(wire).await, 200, "{places} places, round {round}");
            }
        }
    }
}

#[tokio::test]
async fn requests_at_once_take_turns_at_few_places() {
    for places in [1, 2] {
        let world = world(4, places).await;
        let mut wires = clients(&world.gate, 16).await;
        for round in 0..5 {
            let statuses = join_all(wires.iter_mut().map(status)).await;
            assert_eq!(statuses, [200; 16], "{places} places, round {round}");
        }
    }
}

#[tokio::test]
async fn connections_open_at_once_are_no_more_than_the_places() {
    let world = world(4, 2).await;
    let mut wires = clients(&world.gate, 8).await;
    for wire in &mut wires {
        wire.send(request("GET", "/pub/hold", &[], "")).await;
    }
    for served in 0..8 {
        let least = (served + 2).min(8);
        let counts = world
            .backend
            .until("the next two", |counts| counts.requests >= least)
            .await;
        assert_eq!(counts.requests, least, "two at a time");
        assert!(counts.connections - counts.closed <= 2, "{counts:?}");
        world.backend.release();
    }
    for wire in &mut wires {
        assert_eq!(wire.reply().await.status, 200);
    }
}

#[tokio::test]
async fn a_request_that_finds_every_place_in_use_is_a_503_and_the_next_one_is_served() {
    let world = World::with(|setup| {
        setup
            .upstream("max_connections: 1")
            .upstream("connect_timeout: 2s")
    })
    .await;
    let mut held = world.gate.wire().await;
    held.send(request("GET", "/pub/hold", &[], "")).await;
    world
        .backend
        .until("it", |counts| counts.requests == 1)
        .await;
    let reply = world.gate.get("/pub/x").await;
    assert_error(&reply, 503, "upstream_busy");
    assert!(reply.header("retry-after").is_some());
    world.backend.release();
    assert_eq!(held.reply().await.status, 200);
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
}

#[tokio::test]
async fn a_websocket_gets_a_place_that_idle_connections_hold() {
    for workers in [1, 4] {
        let world = world(workers, 1).await;
        let mut wires = clients(&world.gate, 4).await;
        for wire in &mut wires {
            assert_eq!(status(wire).await, 200, "{workers} workers");
        }
        let mut socket = open(&world, "/pub/ws", None).await.expect("a tunnel");
        assert!(echoes(&mut socket, "in").await, "{workers} workers");
    }
}

#[tokio::test]
async fn a_tunnel_holds_a_place_to_its_end() {
    let world = World::with(|setup| {
        setup
            .upstream("max_connections: 2")
            .upstream("connect_timeout: 2s")
    })
    .await;
    let mut first = open(&world, "/pub/ws", None).await.expect("a tunnel");
    let second = open(&world, "/pub/ws", None).await.expect("a tunnel");
    assert!(echoes(&mut first, "one").await);
    world
        .backend
        .until("both", |counts| counts.tunnels == 2)
        .await;
    assert_error(&world.gate.get("/pub/x").await, 503, "upstream_busy");
    drop(second);
    world
        .backend
        .until("its end", |counts| counts.tunnels == 1)
        .await;
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
    assert!(echoes(&mut first, "still").await);
}

#[tokio::test]
async fn a_place_comes_back_when_its_client_goes_away() {
    let world = world(2, 1).await;
    for requests in 1..=5 {
        let mut wire = world.gate.wire().await;
        wire.send(request("GET", "/pub/hold", &[], "")).await;
        world
            .backend
            .until("it", |counts| counts.requests == requests)
            .await;
        drop(wire);
    }
    assert_eq!(world.gate.get("/pub/x").await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_keeps_no_place_from_a_request_in_the_drain() {
    once_in_time(a_late_asker_gets_the_place).await;
}

async fn a_late_asker_gets_the_place() -> bool {
    let mut world = world(2, 1).await;
    let mut wires = clients(&world.gate, 2).await;
    assert_eq!(status(&mut wires[0]).await, 200);
    let late = &mut wires[1];
    let ask = async || {
        // Too late, it finds nobody.
        let _ = late.try_send(request("GET", "/pub/x", &[], "")).await;
    };
    if !asks_in_time(&world.gate, ask).await {
        return false;
    }
    assert_eq!(late.reply().await.status, 200);
    assert_eq!(world.gate.exit().await.code(), Some(0));
    true
}
