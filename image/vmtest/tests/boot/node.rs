//! The node of a box that was switched on, and its updates over the web page.

use std::time::Duration;

use anyhow::Result;
use dolmen_image_vmtest::{Machine, Network, Pattern, Running};

use crate::{
    image::Image,
    machines::{BOX, UKIS, new_box, ukis},
    markers::{CREATED, READY, UNLOCKED, recovery_key, verified_root},
    release::{Fault, Release},
    web::{self, PAGE, Page, RPC, wait_until},
};

/// How long an image on trial has until it gives way (dolmen-bless.service), and the boots around it.
const TRIAL_MAX: Duration = Duration::from_mins(20);

/// A box that can be reached.
fn reachable_box(name: &str, image: &Image) -> Result<Machine> {
    Ok(new_box(name, image)?.network(Network::new().forward(RPC).forward(PAGE)).watchdog())
}

/// What stays the same whatever is updated: the chain that it founded, and its page's certificate.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    genesis: String,
    fingerprint: Vec<u8>,
}

/// Waits until the node finalizes blocks, says how long that took, and who it is.
fn serves(running: &mut Running<'_>, above: u64) -> Result<(Identity, u64)> {
    let (rpc, page) = (running.port(RPC)?, running.port(PAGE)?);
    wait_until(running, "JSON-RPC", || web::height(rpc).map(Some))?;
    let (wall, processor) = (running.uptime().as_secs_f64(), running.processor_time().as_secs_f64());
    eprintln!("{}{wall:8.1}  {processor:8.1}  JSON-RPC answers", running.timings());
    let height = wait_until(running, "new blocks", || Ok(Some(web::height(rpc)?).filter(|height| *height > above)))?;
    let fingerprint = wait_until(running, "page", || web::fingerprint(page).map(Some))?;
    Ok((Identity { genesis: web::genesis(rpc)?, fingerprint }, height))
}

/// The page, with the code that the box's screen shows to whoever stands before it.
fn page(running: &mut Running<'_>) -> Result<Page> {
    // In large letters, which have a space between them here.
    let code = running.wait_for(Pattern::regex("((?:[0-9A-Z] ){4}- (?:[0-9A-Z] ){4}- (?:[0-9A-Z] ){3}[0-9A-Z])")?)?;
    Page::claim(running.port(PAGE)?, &code.group(1).replace(' ', ""))
}

/// Waits until the running image is kept, and this version is in the other slot.
fn blessed(running: &mut Running<'_>, page: &Page, other: Option<&str>) -> Result<()> {
    wait_until(running, "blessing", || {
        let slots = page.slots()?;
        Ok((slots["tries_left"].is_null() && slots["other"].as_str() == other).then_some(()))
    })
}

/// From power-on to a node that answers and finalizes, twice; in between its node begins again, and it is switched off in
/// order. The one test of images that `make test` has.
#[test]
fn a_box_comes_up_and_comes_back() -> Result<()> {
    let image = Image::find()?;
    let mut machine = reachable_box("node", &image)?;
    let mut running = machine.start()?;
    assert_eq!(verified_root(&mut running)?, image.root());
    running.wait_for(CREATED)?;
    recovery_key(&mut running)?;
    running.wait_for(READY)?;
    let (identity, height) = serves(&mut running, 3)?;
    let page = page(&mut running)?;
    blessed(&mut running, &page, None)?;
    let uptime = page.uptime()?;
    page.restart()?;
    wait_until(&mut running, "new start", || Ok((page.uptime()? < uptime).then_some(())))?;
    let (same, height) = serves(&mut running, height)?;
    assert_eq!(same, identity);
    running.press_power_button()?;
    running.wait_until_off()?;
    drop(running);
    assert_eq!(ukis(machine.disk(BOX)?)?, [format!("dolmen_{}.efi", image.manifest.version)]);

    let mut running = machine.start()?;
    running.forbid("recovery key");
    running.wait_for(UNLOCKED)?;
    running.wait_for(READY)?;
    assert_eq!(serves(&mut running, height)?.0, identity);
    Ok(())
}

/// An update and the way back, both over the web page: the box restarts by itself, and is the same box.
#[test]
#[ignore = "boots the image: make test-boot"]
fn an_update_over_the_page_and_back() -> Result<()> {
    let image = Image::find()?;
    let release = Release::after(&image, Fault::None)?;
    let (old, new) = (image.manifest.version.to_string(), release.version.to_string());
    let mut machine = reachable_box("update", &image)?;
    let mut running = machine.start()?;
    running.wait_for(READY)?;
    let (identity, height) = serves(&mut running, 3)?;
    let page = page(&mut running)?;
    blessed(&mut running, &page, None)?;

    // Whoever does not have a token changes nothing.
    let stranger = Page { port: page.port, token: format!("dolmen_{}", "0".repeat(43)) };
    let refusal = stranger.change(Some(&release.bundle)).unwrap_err().to_string();
    assert!(refusal.contains("no-token"), "{refusal}");
    page.change(Some(&release.bundle))?;
    assert_eq!(verified_root(&mut running)?, release.root);
    running.wait_for(UNLOCKED)?;
    running.wait_for(READY)?;
    let (same, height) = serves(&mut running, height)?;
    assert_eq!(same, identity);
    blessed(&mut running, &page, Some(&old))?;

    // An older version is no update.
    page.change(Some(&image.bundle()?))?;
    wait_until(&mut running, "refusal", || {
        let refused = page.slots()?["refused"].as_str().map(str::to_owned);
        Ok(refused.filter(|refused| refused.contains(&old)))
    })?;

    page.change(None)?;
    assert_eq!(verified_root(&mut running)?, image.root());
    running.wait_for(READY)?;
    assert_eq!(serves(&mut running, height)?.0, identity);
    blessed(&mut running, &page, Some(&new))
}

/// A version whose node does not come up gives way by itself once its time is over.
#[test]
#[ignore = "boots the image, and waits for ten minutes: make test-boot"]
fn an_update_whose_node_is_not_well_gives_way() -> Result<()> {
    let image = Image::find()?;
    let release = Release::after(&image, Fault::NoKeys)?;
    let mut machine = reachable_box("unwell", &image)?;
    let mut running = machine.start()?;
    let (identity, height) = serves(&mut running, 3)?;
    let page = page(&mut running)?;
    blessed(&mut running, &page, None)?;
    page.change(Some(&release.bundle))?;
    assert_eq!(verified_root(&mut running)?, release.root);
    running.cut_power();
    // That was the first of its tries; this one is to be its last.
    let left = format!("{UKIS}/dolmen_{}+2-1.efi", release.version);
    machine.disk(BOX)?.esp()?.rename(&left, &left.replace("+2-1", "+1-2"))?;

    let mut running = machine.start()?;
    assert_eq!(verified_root(&mut running)?, release.root);
    running.wait_for(READY)?;
    let fallen = Pattern::regex("dolmen: root verified ([0-9a-f]{8})$")?;
    assert_eq!(running.wait_for_within(fallen, TRIAL_MAX)?.group(1), image.root());
    assert_eq!(serves(&mut running, height)?.0, identity);
    Ok(())
}
