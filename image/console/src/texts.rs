//! What this crate says, in every language. Texts of other crates of the image stand in their own `src/texts.rs`, by the
//! same macro: from there `glyphs/unifont.hex` learns what it needs.

crate::words! {
    /// What keys do in a menu that can be left.
    KEYS_MENU { en: "Arrows or digits: choose   Enter: go on   Esc: back", zh: "方向键或数字：选择   回车：继续   Esc：返回" }
    /// What keys do in the outermost menu.
    KEYS_FIRST_MENU { en: "Arrows or digits: choose   Enter: go on", zh: "方向键或数字：选择   回车：继续" }
    /// What keys do in a field that can be left.
    KEYS_TYPE { en: "Enter: accept   Esc: back", zh: "回车：确认   Esc：返回" }
    /// What keys do in a field that cannot.
    KEYS_TYPE_ONLY { en: "Enter: accept   Ctrl-U: clear", zh: "回车：确认   Ctrl-U：清空" }
    /// What keys do below a message.
    KEYS_MESSAGE { en: "Enter: go on", zh: "回车：继续" }
    /// The key that changes to the other language, in the present one.
    KEY_LANGUAGE { en: "Tab: 中文", zh: "Tab：English" }

    /// Asks to confirm by a serial number.
    CONFIRM_SERIAL {
        en: "To confirm, type the last four letters or digits of the serial number {serial}, then Enter.",
        zh: "如要确认，请输入序列号 {serial} 的最后四位字母或数字，然后按回车。",
    }
    /// Asks to confirm where a disk has no serial number.
    CONFIRM_NO_SERIAL {
        en: "The disk has no usable serial number. To confirm, type {word}, then Enter.",
        zh: "该磁盘没有可用的序列号。如要确认，请输入 {word}，然后按回车。",
    }
    /// The word was another.
    CONFIRM_WRONG { en: "That is not it. Look at the disk's label and type it again.", zh: "输入不符。请核对磁盘标签后重新输入。" }

    /// How much is done.
    PROGRESS_BYTES { en: "{done} of {all}", zh: "{done}，共 {all}" }
    /// How long the rest takes.
    PROGRESS_LEFT { en: "{time} left", zh: "剩余 {time}" }
    /// How long it has taken so far.
    PROGRESS_PASSED { en: "{time} passed", zh: "已用 {time}" }

    /// Asks for the recovery key.
    RECOVERY_PROMPT {
        en: "Type the recovery key. The dashes come by themselves.",
        zh: "请输入恢复密钥。短横线会自动出现。",
    }
    /// How much of it is there.
    RECOVERY_COUNT { en: "{count} of {all} letters", zh: "已输入 {count} 个字母，共 {all} 个" }
    /// A letter that no key has.
    RECOVERY_LETTER {
        en: "'{letter}' is in no recovery key. Its letters are {letters}.",
        zh: "恢复密钥中没有“{letter}”。可用的字母是 {letters}。",
    }
    /// A dash too early.
    RECOVERY_GROUP {
        en: "Only {count} of {all} letters in group {group} so far. Compare that group with your note.",
        zh: "第 {group} 组只输入了 {count} 个字母，应为 {all} 个。请与您的记录核对这一组。",
    }
    /// Enter too early.
    RECOVERY_SHORT {
        en: "Only {count} of {all} letters so far. Go on with group {group}.",
        zh: "只输入了 {count} 个字母，应为 {all} 个。请从第 {group} 组继续。",
    }
    /// A letter too many.
    RECOVERY_LONG {
        en: "The key is complete with {all} letters. Press Enter, or Backspace to correct it.",
        zh: "密钥共 {all} 个字母，已全部输入。请按回车，或按退格键更正。",
    }

    /// Name of the state.
    STATUS_STATE { en: "State", zh: "状态" }
    /// The box starts.
    STATE_STARTING { en: "starting", zh: "正在启动" }
    /// The box waits for an owner.
    STATE_UNCLAIMED { en: "waiting to be claimed", zh: "等待认领" }
    /// The box joins a chain.
    STATE_JOINING { en: "joining the chain", zh: "正在加入区块链" }
    /// The box follows the chain.
    STATE_FOLLOWING { en: "following the chain", zh: "正在跟随区块链" }
    /// The box votes.
    STATE_VALIDATOR { en: "validator: it votes", zh: "验证者：参与投票" }
    /// The node does not run.
    STATE_STOPPED { en: "stopped", zh: "已停止" }
    /// Name of the height of the chain.
    STATUS_HEIGHT { en: "Height", zh: "高度" }
    /// Name of the number of connected boxes.
    STATUS_PEERS { en: "Peers", zh: "节点" }
    /// Connected boxes of those known.
    PEERS_OF { en: "{connected} of {known} connected", zh: "已连接 {connected} 个，共 {known} 个" }
    /// Name of the last problem.
    STATUS_PROBLEM { en: "Problem", zh: "问题" }
    /// Name of what to do about it.
    STATUS_NEXT { en: "What to do", zh: "处理办法" }
    /// Name of the addresses of the web page.
    STATUS_PAGE { en: "Web page", zh: "网页" }
    /// There is no address yet.
    PAGE_NONE { en: "no network address yet; connect the LAN cable", zh: "尚无网络地址；请连接网线" }
    /// Above the fingerprint.
    STATUS_FINGERPRINT {
        en: "The page's certificate has this SHA-256 fingerprint:",
        zh: "网页证书的 SHA-256 指纹：",
    }
    /// Above the claim code.
    STATUS_CLAIM { en: "Claim code, asked for by the web page:", zh: "认领码（网页会要求输入）：" }
    /// Above the recovery key.
    STATUS_RECOVERY {
        en: "Write down this recovery key now: it is never shown again, and without it a failed TPM means lost data.",
        zh: "请立即抄下此恢复密钥：它不会再次显示；如果 TPM 失效而没有此密钥，数据将会丢失。",
    }
    /// Name of the state of an update.
    STATUS_UPDATE { en: "Update", zh: "更新" }
    /// A new version has not proved itself.
    UPDATE_TRIAL { en: "{version} is on trial; {left} tries left", zh: "{version} 正在试用；还可尝试 {left} 次" }
    /// A new version has proved itself.
    UPDATE_BLESSED { en: "{version} has been accepted", zh: "{version} 已确认可用" }
    /// A new version did not start.
    UPDATE_FELL_BACK {
        en: "{version} failed; the box went back to {running}",
        zh: "{version} 启动失败；已恢复到 {running}",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_text_is_there_in_every_language_and_can_be_drawn() {
        assert_eq!(crate::words::check(super::ALL), Vec::<String>::new());
    }
}
