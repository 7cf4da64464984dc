//! The floor of security versions, in the TPM.

use dolmen_image_boot::tpm::{BitsFloor, Tpm};
use dolmen_image_bundle::SecurityVersion;
use dolmen_image_update::{Floor, FloorError};

/// The machine's TPM, opened for each question: the node has it too, and sessions come and go.
pub(super) struct TpmFloor;

impl Floor for TpmFloor {
    fn read(&mut self) -> Result<Option<SecurityVersion>, FloorError> {
        let floor = BitsFloor::new(&mut Tpm::open()?).read()?;
        floor.map(|floor| Ok(SecurityVersion::try_from(floor.get())?)).transpose()
    }

    fn raise(&mut self, to: SecurityVersion) -> Result<(), FloorError> {
        BitsFloor::new(&mut Tpm::open()?).raise(to.get().try_into()?)?;
        Ok(())
    }
}
