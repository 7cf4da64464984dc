//! `dolmen-data`: opens the encrypted data of a box, or makes them on its first boot. The initrd's program runs it in
//! the verified root, before systemd, while register 11 of the TPM says that the initrd has been entered and not left.
//!
//! [`flow`] decides, [`machine`] says what there is to decide upon and to do, and [`appliance`] does it on a real
//! machine. It ends with 0 when the data are at `/data`, and otherwise with what the first process is to do with the
//! machine ([`exit_code`](dolmen_image_boot::power::Power::exit_code)).

use std::process::ExitCode;

use dolmen_image_boot::report::Report;

mod appliance;
mod flow;
mod furnish;
mod grow;
mod machine;
mod recovery_key;
#[cfg(test)]
mod tests;
mod trial;

use flow::Outcome;

fn main() -> ExitCode {
    let report = Report::open("dolmen-data");
    match appliance::run(&report) {
        Ok(Outcome::Ready) => ExitCode::SUCCESS,
        Ok(Outcome::Leave(power)) => ExitCode::from(power.exit_code()),
        Err(error) => {
            report.marker(format_args!("data refused: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
