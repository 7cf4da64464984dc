import { Card, CardBody, Label } from "@patternfly/react-core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { useParams } from "react-router";
import { getAddress, isAddress, size } from "viem";
import { getBalance, getCode, getTransactionCount } from "viem/actions";
import { ApiError } from "../../api/problem";
import { chain } from "../../api/rpc";
import { Waiting } from "../../app";
import { Copyable } from "../../components/copyable";
import { Fact, Facts } from "../../components/facts";
import { QueryView } from "../../components/query-view";
import { Screen } from "../../components/screen";
import { bytes, ends, ether, whole } from "../../format";
import { useWords } from "../../i18n";
import { BackToBlocks } from "./back";

const Contract = lazy(() => import("./contract").then((m) => ({ default: m.Contract })));

async function load(id: string) {
  if (!isAddress(id, { strict: false })) throw new ApiError({ status: 0, code: "not-searchable" });
  const address = getAddress(id);
  const [balance, nonce, code] = await Promise.all([
    getBalance(chain, { address }),
    getTransactionCount(chain, { address }),
    getCode(chain, { address }),
  ]);
  return { address, balance, nonce, code };
}

/** One account, and the contract there if there is one. */
export function Account() {
  const { t, language } = useWords();
  const { address = "" } = useParams();
  const query = useQuery({ queryKey: ["account", address], queryFn: () => load(address) });
  return (
    <Screen title={t("explorer.account", { address: ends(address) })} above={<BackToBlocks />}>
      <QueryView query={query}>
        {(account) => (
          <div className="dolmen-stack">
            <Card>
              <CardBody>
                <Facts>
                  <Fact term={t("common.address")}>
                    <Copyable value={account.address} what={t("common.address")} full />
                  </Fact>
                  <Fact term={t("explorer.kind")}>
                    {account.code ? (
                      <Label color="teal">{t("explorer.contract")}</Label>
                    ) : (
                      <Label color="grey">{t("explorer.external")}</Label>
                    )}
                  </Fact>
                  <Fact term={t("explorer.balance")}>{ether(account.balance)}</Fact>
                  <Fact term="Nonce">{whole(account.nonce, language)}</Fact>
                  <Fact term={t("explorer.code")}>{bytes(account.code ? size(account.code) : 0, language)}</Fact>
                </Facts>
              </CardBody>
            </Card>
            {account.code && (
              <Suspense fallback={<Waiting />}>
                <Contract key={account.address} address={account.address} />
              </Suspense>
            )}
          </div>
        )}
      </QueryView>
    </Screen>
  );
}
