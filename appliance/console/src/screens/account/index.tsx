import { Card, CardBody, CardTitle } from "@patternfly/react-core";
import { request } from "../../api/client";
import { useSession } from "../../api/session";
import { Fact, Facts } from "../../components/facts";
import { Screen } from "../../components/screen";
import { time } from "../../format";
import { useWords } from "../../i18n";
import { Appearance } from "../users/settings";
import { Factors } from "./factors";
import { PasswordCard } from "./password";

/** One's own password, factors and language. */
export function Account() {
  const { t, language } = useWords();
  const { user, expires_at } = useSession();
  return (
    <Screen title={t("menu.account")}>
      <div className="dolmen-stack">
        <Card>
          <CardTitle component="h2">{t("account.session")}</CardTitle>
          <CardBody>
            <Facts>
              <Fact term={t("login.name")}>{user.name}</Fact>
              <Fact term={t("common.role")}>{t(`role.${user.role}`)}</Fact>
              <Fact term={t("account.ends")}>{time(expires_at, language)}</Fact>
            </Facts>
          </CardBody>
        </Card>
        <Factors />
        <PasswordCard />
        <Appearance
          chosen={(language) => {
            // A wish: the page shows the language in any case.
            request("PUT", "/me/language", { body: { language } }).catch(() => undefined);
          }}
        />
      </div>
    </Screen>
  );
}
