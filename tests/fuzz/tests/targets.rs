//! The short form: each target with its seeds, what broke it once, and some thousand changed inputs.

use std::fs;

use dolmen_fuzz::targets;

macro_rules! check {
    ($($name:ident),* $(,)?) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                let target = targets().into_iter().find(|target| target.name == stringify!($name));
                target.expect("a target of this name").check();
            }
        )*
    };
}

check!(
    ca_certificate,
    ca_certificate_signed,
    ca_request,
    ca_request_signed,
    ca_crl,
    ca_crl_signed,
    ca_cms,
    ca_est,
    ca_text,
    ca_register,
    voucher,
    voucher_request,
    voucher_values,
    voucher_message,
    voucher_signed,
    voucher_request_signed,
    tpm_public,
    tpm_statement,
    tpm_statement_signed,
    tpm_signature,
    tpm_credential,
    tpm_certificate,
    tpm_event_log,
    tpm_measure_log,
    appraisal_message,
    appraisal_enrolment,
    appraisal_response,
    appraisal_logs,
    appraisal_again,
    appraisal_result,
    appraisal_policy,
    chain_bundle,
    chain_bundle_signed,
    chain_admission,
    chain_admission_signed,
    stick_letter,
    stick_letter_message,
    stick_letter_signed,
    stick_reply,
    stick_reply_signed,
    stick_record,
    stick_name,
    registrar_call,
    registrar_path,
    registrar_policy,
    registrar_record,
    pledge_answer,
    pledge_keeper,
    pledge_record,
    journal_file,
    journal_lines,
    image_bundle,
    image_manifest,
    image_manifest_signed,
    image_answer,
    image_key,
    uki_image,
    uki_signature,
    uki_variable,
    uki_pcr_signatures,
    uki_key,
    disk_gpt,
    disk_verity,
    disk_luks,
);

#[test]
fn every_target_is_checked() {
    let targets: Vec<_> = targets().iter().map(|target| target.name).collect();
    assert_eq!(targets, NAMES);
}

/// Otherwise a file that is to be read again would not be.
#[test]
fn every_regression_is_of_a_target() {
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");
    for entry in fs::read_dir(regressions).expect("the directory of regressions") {
        let entry = entry.expect("a directory");
        let name = entry.file_name().into_string().expect("text");
        assert!(NAMES.contains(&&*name) || !entry.path().is_dir(), "{name} is no target");
    }
}
