use dolmen_store::snapshot::RangeLimits;

use super::*;
use crate::{
    Response, Server, Settings,
    message::Request,
    simulation::{BLOCK_BYTES_MAX, LIES, Random, Source},
};

/// Peers that answer at once. The first one lies.
struct Local {
    server: Server,
    source: Source,
    random: Random,
    came: VecDeque<NetworkEvent>,
    banned: Vec<PublicKey>,
}

const LIAR: PublicKey = PublicKey([1; 32]);
const HONEST: PublicKey = PublicKey([2; 32]);

impl SyncNetwork for Local {
    async fn send(&mut self, to: PublicKey, message: Bytes) {
        let (id, request) = Request::decode(&message).unwrap();
        let mut message = self.server.answer(id, &request).message;
        if to == LIAR {
            let (_, right) = Response::decode(&message).unwrap();
            message = LIES[0].tell(&request, right, &self.source, &mut self.random).encode(id);
        }
        self.came.push_back(NetworkEvent::Message { from: to, message });
    }

    async fn next(&mut self) -> NetworkEvent {
        match self.came.pop_front() {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    fn peers(&self) -> Vec<PublicKey> {
        vec![LIAR]
    }

    fn ban(&mut self, peer: PublicKey, _: &Fault) {
        self.banned.push(peer);
        self.came.push_back(NetworkEvent::Connected(HONEST));
    }
}

struct AllTrue;

impl PivotCheck for AllTrue {
    fn check(&mut self, pivot: Pivot) -> Result<Checked, DriveError> {
        Ok(Checked::Chain(Box::new(pivot)))
    }

    fn link(&mut self, _: Vec<Pivot>) -> Result<Linked, DriveError> {
        unreachable!("all is trusted without links")
    }
}

fn client(filling: &Filling) -> Client {
    let block_bytes_max = usize::try_from(BLOCK_BYTES_MAX).unwrap();
    let settings = Settings { first_id: 1, block_bytes_max, limits: RangeLimits::STANDARD };
    Client::new(filling.progress().unwrap(), settings)
}

#[tokio::test]
async fn a_client_is_driven_to_its_end() {
    let (source, mut random) = (Source::new(50, 10), Random(1));
    (0..8).for_each(|_| source.grow(&mut random));
    let server = Server::new(source.store.clone(), source.pivots.clone());
    let dir = tempfile::tempdir().unwrap();
    let filling = Arc::new(Filling::open(dir.path(), &source.origin).unwrap());
    let mut network = Local { server, source, random, came: VecDeque::new(), banned: vec![] };
    let mut heights = Vec::new();
    let report = |report: &Report| {
        heights.push(report.height);
        ControlFlow::Continue(())
    };
    drive(client(&filling), filling.clone(), &mut network, AllTrue, report).await.unwrap();
    assert_eq!(network.banned, [LIAR]);
    assert_eq!(heights.last(), Some(&7));
    drop(filling);
    assert_eq!(network.source.compare(dir.path()), 7);
}

#[tokio::test]
async fn the_end_of_the_network_is_told() {
    let source = Source::new(5, 1);
    let server = Server::new(source.store.clone(), source.pivots.clone());
    let dir = tempfile::tempdir().unwrap();
    let filling = Arc::new(Filling::open(dir.path(), &source.origin).unwrap());
    let came = [NetworkEvent::Gone(LIAR), NetworkEvent::Closed].into();
    let mut network = Local { server, source, random: Random(1), came, banned: vec![] };
    let ended = drive(client(&filling), filling, &mut network, AllTrue, |_| ControlFlow::Continue(())).await;
    assert!(matches!(ended, Err(DriveError::Closed)));
}

#[tokio::test]
async fn who_is_told_of_the_progress_may_end_it() {
    let source = Source::new(5, 1);
    let server = Server::new(source.store.clone(), source.pivots.clone());
    let dir = tempfile::tempdir().unwrap();
    let filling = Arc::new(Filling::open(dir.path(), &source.origin).unwrap());
    // The chain has no pivot yet, so nothing comes of it.
    let mut network = Local { server, source, random: Random(1), came: VecDeque::new(), banned: vec![] };
    let mut told = 0;
    let report = |report: &Report| {
        told += 1;
        assert_eq!(report.height, 0);
        ControlFlow::Break(())
    };
    let ended = drive(client(&filling), filling, &mut network, AllTrue, report).await;
    assert!(matches!(ended, Err(DriveError::Ended)));
    assert_eq!(told, 1);
}
