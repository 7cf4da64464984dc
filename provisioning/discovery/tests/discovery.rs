//! Announcing and finding, over the multicast of this machine.

use std::{net::UdpSocket, time::Duration};

use dolmen_provisioning_discovery::{Announcement, find_over};

/// A port that nobody else talks on.
fn port() -> u16 {
    UdpSocket::bind("0.0.0.0:0").expect("a socket").local_addr().expect("an address").port()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_announced_is_found_and_who_left_is_not() {
    let multicast = port();
    assert_eq!(find_over(Duration::from_millis(300), multicast).await.unwrap(), []);
    let alpha = Announcement::over("Alpha Bank", 8443, multicast).unwrap();
    let _beta = Announcement::over("\u{8d1d}\u{5854}", 8444, multicast).unwrap();
    let names = async || {
        let found = find_over(Duration::from_secs(2), multicast).await.unwrap();
        found.into_iter().map(|found| (found.name, found.addresses[0].port())).collect::<Vec<_>>()
    };
    let both = [("Alpha Bank".to_owned(), 8443), ("\u{8d1d}\u{5854}".to_owned(), 8444)];
    // Names are made sure of first, which takes a second or so.
    let mut found = names().await;
    for _ in 0..10 {
        if found == both {
            break;
        }
        found = names().await;
    }
    assert_eq!(found, both);
    drop(alpha);
    assert_eq!(names().await, both[1..]);
}
