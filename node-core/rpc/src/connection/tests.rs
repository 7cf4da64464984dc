use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::Semaphore,
    time::timeout,
};

use super::*;

/// A connection whose socket holds 16 bytes each way, and its peer's end.
fn connection(limits: &RpcLimits) -> (Connection<DuplexStream>, Arc<ConnectionControl>, DuplexStream, Arc<Semaphore>) {
    joined(limits, &Unsent::new(limits))
}

fn joined(
    limits: &RpcLimits,
    all: &Arc<Unsent>,
) -> (Connection<DuplexStream>, Arc<ConnectionControl>, DuplexStream, Arc<Semaphore>) {
    let (ours, theirs) = duplex(16);
    let places = Arc::new(Semaphore::new(1));
    let place = Place::new(places.clone().try_acquire_owned().expect("free"), Gauge::default());
    let control = ConnectionControl::new(limits, all);
    (Connection::new(ours, control.clone(), place, limits), control, theirs, places)
}

fn limits() -> RpcLimits {
    RpcLimits {
        idle_max: Duration::from_secs(100),
        write_stall_max: Duration::from_secs(10),
        write_stall_bytes: 8,
        requests_per_connection_max: 2,
        unsent_bytes_max: 100,
        unsent_bytes_all_max: 250,
        ..Default::default()
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_connection_only_while_nothing_is_in_progress() {
    let (mut connection, control, mut peer, places) = connection(&limits());
    let request = control.begin();
    assert!(timeout(Duration::from_secs(1000), connection.read_u8()).await.is_err());
    peer.write_u8(7).await.unwrap();
    assert_eq!(connection.read_u8().await.unwrap(), 7);
    drop(request);
    let started = Instant::now();
    assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(started.elapsed().as_secs(), 100);
    assert_eq!(places.available_permits(), 0);
    drop(connection);
    assert_eq!(places.available_permits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_closed_and_not_read() {
    let (mut connection, _, mut peer, _places) = connection(&limits());
    peer.write_u8(1).await.unwrap();
    let started = Instant::now();
    assert_eq!(connection.write_all(&[0; 17]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(started.elapsed().as_secs(), 10);
    assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_too_little_is_closed() {
    let (mut connection, control, mut peer, _places) = connection(&limits());
    control.charge(90);
    // Nine bytes in ten seconds are enough, four are not.
    let reading = tokio::spawn(async move {
        for taken in [9, 9, 4, 4] {
            tokio::time::sleep(Duration::from_secs(9)).await;
            peer.read_exact(&mut vec![0; taken]).await.unwrap();
        }
        peer
    });
    let started = Instant::now();
    assert_eq!(connection.write_all(&[0; 90]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(started.elapsed().as_secs(), 30);
    drop(reading);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_trickles_in_is_given_up() {
    let (mut connection, control, mut peer, _places) = connection(&limits());
    let trickle = tokio::spawn(async move {
        while peer.write_u8(1).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
    });
    let started = Instant::now();
    drop(control.begin());
    let error = loop {
        if let Err(error) = connection.read_u8().await {
            break error;
        }
    };
    assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, 100));
    drop(connection);
    trickle.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_unsent_stops_the_reading() {
    let (mut connection, control, mut peer, _places) = connection(&limits());
    peer.write_u8(1).await.unwrap();
    control.charge(101);
    assert!(timeout(Duration::from_secs(1), connection.read_u8()).await.is_err());
    connection.write_u8(2).await.unwrap();
    assert_eq!(connection.read_u8().await.unwrap(), 1);
}

#[tokio::test]
async fn the_connection_with_the_most_unsent_is_closed() {
    let limits = limits();
    let all = Unsent::new(&limits);
    let (mut slow, slow_control, _slow_peer, _) = joined(&limits, &all);
    let (mut quick, quick_control, mut quick_peer, _) = joined(&limits, &all);
    slow_control.charge(150);
    // Its socket is full: it waits when it is closed.
    let writing = tokio::spawn(async move { slow.write_all(&[0; 150]).await });
    tokio::task::yield_now().await;
    quick_control.charge(120);
    assert_eq!(writing.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(all.bytes.load(Ordering::Acquire), 120);
    quick_peer.write_u8(1).await.unwrap();
    quick.write_all(&[0; 16]).await.unwrap();
    assert_eq!(all.bytes.load(Ordering::Acquire), 104);
    // What will never be sent goes with its connection.
    slow_control.charge(1);
    drop((quick, quick_control));
    assert_eq!(all.bytes.load(Ordering::Acquire), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_in_progress_stop_the_reading() {
    let (mut connection, control, mut peer, _places) = connection(&limits());
    peer.write_u8(1).await.unwrap();
    let requests = [control.begin(), control.begin()];
    assert!(timeout(Duration::from_secs(1), connection.read_u8()).await.is_err());
    let reading = tokio::spawn(async move { connection.read_u8().await });
    tokio::task::yield_now().await;
    drop(requests);
    assert_eq!(timeout(Duration::from_secs(1), reading).await.expect("woken").unwrap().unwrap(), 1);
}

#[tokio::test]
async fn closing_wakes_the_reader() {
    let (mut connection, control, _peer, _places) = connection(&limits());
    let reading = tokio::spawn(async move { connection.read_u8().await });
    tokio::task::yield_now().await;
    control.close();
    let result = timeout(Duration::from_secs(5), reading).await.expect("woken").unwrap();
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
}
