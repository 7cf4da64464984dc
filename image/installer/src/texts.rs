//! What the installer says to the person before it, in every language. Errors say more, in English, below it and in the
//! log.

dolmen_image_console::words! {
    /// Above everything.
    TITLE { en: "Dolmen installer", zh: "Dolmen 安装程序" }
    /// While devices appear.
    STARTING { en: "Looking for the stick", zh: "正在查找安装 U 盘" }
    /// While the bundle is read the first time.
    CHECKING { en: "Checking the image on the stick", zh: "正在检查 U 盘上的镜像" }
    /// Below it.
    NOTHING_CHANGED_YET { en: "Nothing is changed on any disk.", zh: "尚未更改任何磁盘。" }

    /// In the menu: which image it is.
    IMAGE_IS { en: "Image {version}, security version {security}, signature and contents checked", zh: "镜像 {version}，安全版本 {security}，签名和内容均已检查" }
    /// In the menu: test keys.
    TEST_KEYS { en: "This image is signed with public test keys. Do not use it in production.", zh: "此镜像使用公开的测试密钥签名，请勿用于生产环境。" }
    /// In the menu: which machine it is.
    MACHINE_IS { en: "This machine: {machine}", zh: "本机：{machine}" }
    /// Menu item.
    INSTALL { en: "Install on an empty disk", zh: "安装到空磁盘" }
    /// Menu item.
    REIMAGE_KEEP { en: "Install again and keep the data", zh: "重新安装并保留数据" }
    /// Menu item.
    REIMAGE_WIPE { en: "Wipe a disk and install", zh: "清除磁盘并安装" }
    /// Note of that item.
    REIMAGE_WIPE_NOTE { en: "Everything on the disk is lost for ever.", zh: "磁盘上的一切将永久丢失。" }
    /// Menu item.
    VERIFY { en: "Check what is installed", zh: "检查已安装的内容" }
    /// Menu item.
    SUPPORT { en: "Write a support bundle to the stick", zh: "将支持信息包写入 U 盘" }
    /// Note of that item.
    SUPPORT_NOTE { en: "Logs and facts about this machine. No data and no secrets.", zh: "日志和本机信息，不含数据和机密。" }
    /// Menu item.
    POWER_OFF { en: "Power off", zh: "关机" }
    /// Menu item.
    REBOOT { en: "Start the machine again", zh: "重新启动" }
    /// Menu item.
    BACK { en: "Back", zh: "返回" }

    /// Above the disks.
    CHOOSE_DISK { en: "Which disk?", zh: "选择哪个磁盘？" }
    /// Menu item of that menu.
    OTHER_DISKS { en: "Show USB and removable disks too", zh: "同时显示 USB 磁盘和可移动磁盘" }
    /// No disk fits.
    NO_DISK { en: "No disk of this machine can take the image.", zh: "本机没有可以安装镜像的磁盘。" }
    /// What to do about it.
    NO_DISK_NEXT { en: "Put in a disk of at least {gib} GiB, or look at the cables, and start again.", zh: "请装入至少 {gib} GiB 的磁盘，或检查线缆，然后重新启动。" }
    /// A disk that is not offered, and why.
    UNFIT_STICK { en: "Not offered: {disk} (this is the stick)", zh: "未列出：{disk}（这是安装 U 盘）" }
    /// A disk that is not offered, and why.
    UNFIT_READ_ONLY { en: "Not offered: {disk} (read-only)", zh: "未列出：{disk}（只读）" }
    /// A disk that is not offered, and why.
    UNFIT_BLOCKS { en: "Not offered: {disk} (blocks of an unknown size)", zh: "未列出：{disk}（块大小未知）" }
    /// A disk that is not offered, and why.
    UNFIT_TOO_SMALL { en: "Not offered: {disk} (too small)", zh: "未列出：{disk}（容量太小）" }
    /// A disk that is not offered, and why.
    UNFIT_USB { en: "Not offered: {disk} (on USB)", zh: "未列出：{disk}（USB 磁盘）" }
    /// A disk that is not offered, and why.
    UNFIT_REMOVABLE { en: "Not offered: {disk} (removable)", zh: "未列出：{disk}（可移动磁盘）" }
    /// No name, a wrong one, or one of several.
    WHICH_DISK { en: "It is not clear which disk is meant.", zh: "无法确定目标磁盘。" }
    /// What to do.
    WHICH_DISK_NEXT { en: "Name it in the answer file by its serial number and sign the file again, or remove the file and choose in the menu.", zh: "请在应答文件中用序列号指定磁盘并重新签名，或删除该文件后在菜单中选择。" }
    /// What the chosen disk holds.
    DISK_HOLDS { en: "What is on it now:", zh: "其上现有：" }
    /// Asks once more.
    CONFIRM_INSTALL { en: "Install on this disk?", zh: "安装到此磁盘？" }
    /// Asks once more.
    CONFIRM_KEEP { en: "Install again on this disk? The data stay as they are.", zh: "在此磁盘上重新安装？数据保持不变。" }
    /// Asks once more.
    CONFIRM_WIPE { en: "Wipe this disk?", zh: "清除此磁盘？" }
    /// What is lost.
    WIPE_LOSES { en: "The keys of all encrypted data on {disk} are destroyed, and everything on it is lost for ever. Nobody can bring it back.", zh: "{disk} 上所有加密数据的密钥将被销毁，其上的一切将永久丢失，任何人都无法恢复。" }
    /// Menu item.
    YES { en: "Yes, go on", zh: "是，继续" }
    /// Menu item.
    NO { en: "No, back", zh: "否，返回" }

    /// A step of the installation.
    STEP_READ { en: "Reading the boot files", zh: "正在读取启动文件" }
    /// A step of the installation.
    STEP_MARK { en: "Making the old system unbootable", zh: "正在使旧系统不可启动" }
    /// A step of the installation.
    STEP_ERASE { en: "Destroying the old keys", zh: "正在销毁旧密钥" }
    /// A step of the installation.
    STEP_SLOTS { en: "Writing the image", zh: "正在写入镜像" }
    /// A step of the installation.
    STEP_CHECK { en: "Reading it back", zh: "正在回读校验" }
    /// A step of the installation.
    STEP_DATA { en: "Preparing the data partition", zh: "正在准备数据分区" }
    /// A step of the installation.
    STEP_TABLE { en: "Writing the partition table", zh: "正在写入分区表" }
    /// A step of the installation.
    STEP_ESP { en: "Writing the boot files", zh: "正在写入启动文件" }
    /// A step of the installation.
    STEP_BOOT { en: "Making it bootable", zh: "正在使其可启动" }
    /// Below a step.
    DO_NOT_PULL { en: "Do not pull the stick and do not switch off.", zh: "请勿拔出 U 盘，请勿断电。" }

    /// All went well.
    DONE { en: "Installed", zh: "安装完成" }
    /// What was done.
    DONE_TEXT { en: "Image {version} is on {disk}, and was read back.", zh: "镜像 {version} 已写入 {disk}，并已回读校验。" }
    /// What was destroyed.
    DONE_ERASED { en: "The keys of {count} encrypted volumes were destroyed.", zh: "已销毁 {count} 个加密卷的密钥。" }
    /// What to do now.
    DONE_NEXT { en: "Take the stick out before the machine starts again.", zh: "请在机器再次启动前拔出 U 盘。" }
    /// This machine was done already.
    ALREADY { en: "This machine has been done already", zh: "本机已处理过" }
    /// What that means.
    ALREADY_TEXT { en: "The stick says that it did its work here with image {version}. Nothing was done now.", zh: "U 盘记录显示已用镜像 {version} 处理过本机。本次未做任何操作。" }
    /// What to do.
    ALREADY_NEXT { en: "Take the stick out. To do it again, remove {file} from the folder dolmen of the stick.", zh: "请拔出 U 盘。如需再次执行，请从 U 盘的 dolmen 文件夹中删除 {file}。" }
    /// The machine cannot be told from others.
    NO_IDENTITY { en: "This machine's firmware tells neither a UUID nor a serial number, so the stick could not note that it was done.", zh: "本机固件未提供 UUID 或序列号，U 盘无法记录已处理的状态。" }
    /// What to do.
    NO_IDENTITY_NEXT { en: "Use the menu, or an answer file with once = false.", zh: "请使用菜单，或使用设置了 once = false 的应答文件。" }

    /// Nothing was done.
    REFUSED { en: "Nothing was done", zh: "未做任何操作" }
    /// Why.
    HAS_DATA { en: "The disk holds a box's data.", zh: "磁盘上有设备数据。" }
    /// What to do.
    HAS_DATA_NEXT { en: "Choose to install again and keep them, or to wipe the disk.", zh: "请选择重新安装并保留数据，或清除磁盘。" }
    /// Why.
    FOREIGN { en: "The disk is not empty.", zh: "磁盘不是空的。" }
    /// What to do.
    FOREIGN_NEXT { en: "Take another disk, or wipe this one if nobody needs what is on it.", zh: "请使用其他磁盘；如果其中内容不再需要，可清除此磁盘。" }
    /// Why.
    NOTHING_TO_KEEP { en: "The disk holds no data of a box that could be kept.", zh: "磁盘上没有可保留的设备数据。" }
    /// What to do.
    NOTHING_TO_KEEP_NEXT { en: "Install on the empty disk instead, or take another one.", zh: "请改为安装到空磁盘，或使用其他磁盘。" }
    /// Why.
    OTHER_DATA { en: "The data partition is not one that a box has made.", zh: "数据分区不是由设备创建的。" }
    /// What to do.
    OTHER_DATA_NEXT { en: "Save what is in it if anybody needs it, then wipe the disk.", zh: "如有需要，请先保存其中内容，再清除磁盘。" }
    /// Why.
    LAYOUT { en: "The partitions of the image do not fit this disk.", zh: "镜像的分区不适合此磁盘。" }
    /// What to do.
    LAYOUT_NEXT { en: "Take a larger disk; or save the data and wipe this one.", zh: "请使用更大的磁盘；或保存数据后清除此磁盘。" }
    /// Why.
    SLOT_BYTES { en: "The image is too large for its partition.", zh: "镜像大于其分区。" }
    /// What to do.
    SLOT_BYTES_NEXT { en: "Make the stick anew with a newer installer.", zh: "请使用更新的安装程序重新制作 U 盘。" }
    /// Why.
    FLOOR { en: "The image is older than what this machine's TPM allows.", zh: "镜像版本低于本机 TPM 允许的版本。" }
    /// What to do.
    FLOOR_NEXT { en: "Make a stick with a newer image.", zh: "请使用更新的镜像制作 U 盘。" }
    /// Why.
    TPM { en: "This machine's TPM does not tell which images it allows.", zh: "本机 TPM 未能提供允许的镜像版本。" }
    /// What to do.
    TPM_NEXT { en: "Look at its settings in the firmware, and start again.", zh: "请检查固件中的 TPM 设置，然后重新启动。" }

    /// The stick cannot note that a machine was done.
    NO_MARKER { en: "The stick cannot note that this machine was done.", zh: "U 盘无法记录本机已处理。" }
    /// What to do.
    NO_MARKER_NEXT { en: "Take the stick out before the machine starts again. Make room on the stick, or switch its write protection off.", zh: "请在机器再次启动前拔出 U 盘。请在 U 盘上腾出空间，或关闭写保护。" }

    /// The bundle is not right.
    BAD_BUNDLE { en: "The image on the stick is not right. Nothing was changed on any disk.", zh: "U 盘上的镜像不正确。未更改任何磁盘。" }
    /// What to do.
    BAD_BUNDLE_NEXT { en: "Make the stick anew. If it is refused again, do not use it and tell who gave it to you.", zh: "请重新制作 U 盘。如仍被拒绝，请勿使用，并告知提供者。" }
    /// The answer file is not right.
    BAD_ANSWER { en: "The answer file on the stick is not followed.", zh: "U 盘上的应答文件未被采用。" }
    /// What to do.
    BAD_ANSWER_NEXT { en: "Sign it again, or go on with the menu.", zh: "请重新签名，或继续使用菜单。" }
    /// No stick.
    NO_STICK { en: "The stick cannot be found or read.", zh: "找不到或无法读取 U 盘。" }
    /// What to do.
    NO_STICK_NEXT { en: "Put it into another socket and start again.", zh: "请换一个 USB 接口插入，然后重新启动。" }
    /// Two sticks.
    STICKS { en: "There is more than one stick.", zh: "插有多个安装 U 盘。" }
    /// What to do.
    STICKS_NEXT { en: "Leave only one in and start again.", zh: "请只保留一个，然后重新启动。" }
    /// The disk cannot be read or opened.
    DISK_FAILED { en: "The disk cannot be used.", zh: "磁盘无法使用。" }
    /// What to do.
    DISK_FAILED_NEXT { en: "Look at its cables and at the kernel's log in a support bundle, and replace it if need be.", zh: "请检查线缆和支持信息包中的内核日志，必要时更换磁盘。" }
    /// It ended before it was done.
    FAILED { en: "The installation did not end", zh: "安装未完成" }
    /// And nothing was changed.
    UNTOUCHED { en: "Nothing was changed on the disk.", zh: "磁盘未被更改。" }
    /// And the disk does not boot.
    TOUCHED { en: "The disk is not whole and does not boot.", zh: "磁盘内容不完整，无法启动。" }
    /// What to do.
    FAILED_NEXT { en: "Once the cause is removed, start the machine from the stick again.", zh: "排除原因后，请从 U 盘重新启动机器。" }

    /// Above what was found.
    VERIFIED { en: "What is installed", zh: "已安装的内容" }
    /// A disk that is right.
    VERIFIED_RIGHT { en: "Image {version}; every block and every boot file is right.", zh: "镜像 {version}；所有块和启动文件均正确。" }
    /// A disk with something else.
    VERIFIED_OTHER { en: "Not the image of this stick, or something of it was changed. The log on the stick says what.", zh: "不是此 U 盘的镜像，或其中有更改。详情见 U 盘上的日志。" }
    /// The support bundle is there.
    SUPPORT_DONE { en: "The support bundle is on the stick: dolmen/{file}", zh: "支持信息包已写入 U 盘：dolmen/{file}" }
    /// It is not there.
    SUPPORT_FAILED { en: "The stick does not take the support bundle.", zh: "支持信息包无法写入 U 盘。" }
    /// What to do.
    SUPPORT_FAILED_NEXT { en: "Make room in its folder dolmen, or put the stick in again.", zh: "请在其 dolmen 文件夹中腾出空间，或重新插入 U 盘。" }
    /// The disk holds nothing.
    HOLDS_NOTHING { en: "nothing", zh: "空" }
    /// An installation that did not end.
    HOLDS_UNFINISHED { en: "an installation that did not end", zh: "未完成的安装" }
    /// A box's disk.
    HOLDS_BOX { en: "Dolmen, with data", zh: "Dolmen，有数据" }
    /// A box's disk.
    HOLDS_BOX_EMPTY { en: "Dolmen, no data yet", zh: "Dolmen，尚无数据" }
    /// A box's disk with something odd.
    HOLDS_BOX_OTHER { en: "Dolmen, with a data partition of another kind", zh: "Dolmen，数据分区类型不同" }
    /// Somebody's disk.
    HOLDS_FOREIGN { en: "something else", zh: "其他内容" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_text_is_in_every_language() {
        assert_eq!(dolmen_image_console::check(super::ALL), Vec::<String>::new());
    }
}
