import {
  Button,
  Dropdown,
  DropdownItem,
  DropdownList,
  Label,
  Masthead,
  MastheadBrand,
  MastheadContent,
  MastheadLogo,
  MastheadMain,
  MastheadToggle,
  MenuToggle,
  Nav,
  NavGroup,
  NavItem,
  NavList,
  Page,
  PageSidebar,
  PageSidebarBody,
  PageToggleButton,
  SkipToContent,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from "@patternfly/react-core";
import { BarsIcon } from "@patternfly/react-icons/dist/esm/icons/bars-icon";
import { UserIcon } from "@patternfly/react-icons/dist/esm/icons/user-icon";
import { Suspense, useState } from "react";
import { Link, Route, Routes, useLocation, useNavigate } from "react-router";
import { request } from "./api/client";
import { useLive, useLiveStream } from "./api/live";
import { includesRole, logOut, useSession } from "./api/session";
import { Waiting } from "./app";
import { Boundary } from "./components/boundary";
import { LanguageMenu, ThemeButton } from "./components/choices";
import { IdleGuard } from "./components/idle-guard";
import { Mark } from "./components/mark";
import { NoticesProvider } from "./components/notices";
import { Screen } from "./components/screen";
import { useWords } from "./i18n";
import { INNER, MENU_GROUPS, PLACES } from "./routes";

const MAIN = "main";

/** The console: bar, menu, and the screen that the address names. */
export function Shell({ boxName }: { boxName: string }) {
  const { t } = useWords();
  const { pathname } = useLocation();
  useLiveStream();
  const skip = (
    <SkipToContent
      href={`#${MAIN}`}
      onClick={(event) => {
        event.preventDefault();
        document.getElementById(MAIN)?.focus();
      }}
    >
      {t("shell.skip")}
    </SkipToContent>
  );
  return (
    <NoticesProvider>
      <Page
        masthead={<Bar boxName={boxName} />}
        sidebar={<Menu />}
        isManagedSidebar
        skipToContent={skip}
        mainContainerId={MAIN}
        mainAriaLabel={t("shell.main")}
      >
        <Boundary place={pathname}>
          <Suspense fallback={<Waiting />}>
            <Routes>
              {[...PLACES, ...INNER].map(({ path, screen: { Shown } }) => (
                <Route key={path} path={path} element={<Shown />} />
              ))}
              <Route path="*" element={<Unknown />} />
            </Routes>
          </Suspense>
        </Boundary>
      </Page>
      <IdleGuard />
    </NoticesProvider>
  );
}

function Bar({ boxName }: { boxName: string }) {
  const { t } = useWords();
  return (
    <Masthead>
      <MastheadMain>
        <MastheadToggle>
          <PageToggleButton variant="plain" aria-label={t("shell.menu")}>
            <BarsIcon />
          </PageToggleButton>
        </MastheadToggle>
        <MastheadBrand>
          <MastheadLogo component={(props) => <Link {...props} to="/" />} className="dolmen-brand">
            <Mark />
            <span>
              <strong>Dolmen</strong>
              <span className="dolmen-box-name">{boxName}</span>
            </span>
          </MastheadLogo>
        </MastheadBrand>
      </MastheadMain>
      <MastheadContent>
        <Toolbar isFullHeight isStatic>
          <ToolbarContent>
            <ToolbarGroup align={{ default: "alignEnd" }} gap={{ default: "gapSm" }} variant="action-group-plain">
              <ToolbarItem className="dolmen-wide dolmen-middle">
                <Connection />
              </ToolbarItem>
              <ToolbarItem>
                <ThemeButton />
              </ToolbarItem>
              <ToolbarItem>
                <LanguageMenu
                  onChoose={(language) => {
                    // A wish: the page shows the language in any case.
                    request("PUT", "/me/language", { body: { language } }).catch(() => undefined);
                  }}
                />
              </ToolbarItem>
              <ToolbarItem>
                <UserMenu />
              </ToolbarItem>
            </ToolbarGroup>
          </ToolbarContent>
        </Toolbar>
      </MastheadContent>
    </Masthead>
  );
}

/** Whether what the page shows is live. */
function Connection() {
  const { t } = useWords();
  const { phase } = useLive();
  const status = { live: "success", connecting: "info", lost: "danger" } as const;
  return (
    <span role="status">
      <Label status={status[phase]} variant="outline">
        {t(`shell.${phase}`)}
      </Label>
    </span>
  );
}

function UserMenu() {
  const { t } = useWords();
  const { user } = useSession();
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      popperProps={{ position: "end" }}
      onSelect={(_, value) => {
        setOpen(false);
        if (value === "account") void navigate("/account");
        else void logOut().catch(() => undefined);
      }}
      toggle={(ref) => (
        <MenuToggle
          ref={ref}
          variant="plainText"
          icon={<UserIcon />}
          aria-label={t("shell.user", { name: user.name, role: t(`role.${user.role}`) })}
          isExpanded={open}
          onClick={() => {
            setOpen(!open);
          }}
        >
          <span className="dolmen-wide">{user.name}</span>
        </MenuToggle>
      )}
    >
      <DropdownList>
        <DropdownItem value="account" description={t(`role.${user.role}`)}>
          {t("menu.account")}
        </DropdownItem>
        <DropdownItem value="out">{t("session.log_out")}</DropdownItem>
      </DropdownList>
    </Dropdown>
  );
}

function Menu() {
  const { t } = useWords();
  const { pathname } = useLocation();
  const { user } = useSession();
  const isAt = (path: string) => (path === "/" ? pathname === "/" : pathname.startsWith(path));
  return (
    <PageSidebar>
      <PageSidebarBody>
        <Nav aria-label={t("shell.nav")}>
          {MENU_GROUPS.map((group) => {
            const places = PLACES.filter((place) => place.group === group && includesRole(user.role, place.needs));
            const items = places.map(({ path, key }) => (
              <NavItem key={path} isActive={isAt(path)} itemId={path}>
                <Link to={path} aria-current={isAt(path) ? "page" : undefined}>
                  {t(`menu.${key}`)}
                </Link>
              </NavItem>
            ));
            if (items.length === 0) return null;
            if (group === "overview") return <NavList key={group}>{items}</NavList>;
            return (
              <NavGroup key={group} title={t(`menu.${group}`)}>
                {items}
              </NavGroup>
            );
          })}
        </Nav>
      </PageSidebarBody>
    </PageSidebar>
  );
}

function Unknown() {
  const { t } = useWords();
  const navigate = useNavigate();
  return (
    <Screen title={t("shell.unknown")} intro={t("shell.unknown_why")}>
      <Button onClick={() => void navigate("/")}>{t("shell.unknown_home")}</Button>
    </Screen>
  );
}
