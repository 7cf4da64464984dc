import {
  Button,
  Dropdown,
  DropdownItem,
  DropdownList,
  MenuToggle,
  ToggleGroup,
  ToggleGroupItem,
} from "@patternfly/react-core";
import { DesktopIcon } from "@patternfly/react-icons/dist/esm/icons/desktop-icon";
import { LanguageIcon } from "@patternfly/react-icons/dist/esm/icons/language-icon";
import { MoonIcon } from "@patternfly/react-icons/dist/esm/icons/moon-icon";
import { SunIcon } from "@patternfly/react-icons/dist/esm/icons/sun-icon";
import { useState } from "react";
import { LANGUAGES, setLanguage, useWords } from "../i18n";
import type { Language } from "../api/types";
import { setTheme, useTheme, type Theme } from "../theme";

const THEMES: [Theme, typeof SunIcon][] = [
  ["system", DesktopIcon],
  ["light", SunIcon],
  ["dark", MoonIcon],
];

/** Chooses among the system's theme, light and dark, each with its name. */
export function ThemeGroup() {
  const { t } = useWords();
  const theme = useTheme();
  return (
    <ToggleGroup aria-label={t("theme.label")}>
      {THEMES.map(([value, Icon]) => (
        <ToggleGroupItem
          key={value}
          icon={<Icon />}
          text={t(`theme.${value}`)}
          buttonId={`theme-${value}`}
          isSelected={theme === value}
          onChange={() => {
            setTheme(value);
          }}
        />
      ))}
    </ToggleGroup>
  );
}

/** The theme as one button of a bar, which takes the next. */
export function ThemeButton() {
  const { t } = useWords();
  const theme = useTheme();
  const index = THEMES.findIndex(([value]) => value === theme);
  const [next] = THEMES[(index + 1) % THEMES.length] ?? ["system", DesktopIcon];
  const Icon = THEMES[index]?.[1] ?? DesktopIcon;
  return (
    <Button
      variant="plain"
      icon={<Icon />}
      aria-label={t("theme.button", { now: t(`theme.${theme}`), next: t(`theme.${next}`) })}
      onClick={() => {
        setTheme(next);
      }}
    />
  );
}

/** The language, in its own words. `onChoose` runs where somebody chose one. */
export function LanguageMenu({ onChoose }: { onChoose?: (language: Language) => void }) {
  const { t, language } = useWords();
  const [open, setOpen] = useState(false);
  const name = LANGUAGES.find(({ code }) => code === language)?.name ?? "";
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      popperProps={{ position: "end" }}
      onSelect={(_, value) => {
        setOpen(false);
        const chosen = LANGUAGES.find(({ code }) => code === value)?.code;
        if (!chosen) return;
        void setLanguage(chosen);
        onChoose?.(chosen);
      }}
      toggle={(ref) => (
        <MenuToggle
          ref={ref}
          variant="plainText"
          icon={<LanguageIcon />}
          aria-label={`${t("language.label")}: ${name}`}
          isExpanded={open}
          onClick={() => {
            setOpen(!open);
          }}
        >
          <span className="dolmen-wide">{name}</span>
        </MenuToggle>
      )}
    >
      <DropdownList>
        {LANGUAGES.map(({ code, name }) => (
          <DropdownItem key={code} value={code} lang={code === "zh" ? "zh-CN" : "en"} isSelected={code === language}>
            {name}
          </DropdownItem>
        ))}
      </DropdownList>
    </Dropdown>
  );
}
