import { Button, Card, CardBody, CardHeader, CardTitle, Tab, Tabs, TabTitleText } from "@patternfly/react-core";
import { useState } from "react";
import type { Abi, Address } from "viem";
import { abiOf, forgetAbi, keepAbi } from "../../../api/abi-store";
import { useWords } from "../../../i18n";
import { AbiForm } from "./abi-form";
import { Events } from "./events";
import { ReadFunctions } from "./read";
import { WriteFunctions } from "./write";

/** A contract by its ABI: what it answers, what it does, and what it logged. */
export function Contract({ address }: { address: Address }) {
  const { t } = useWords();
  const [abi, setAbi] = useState<Abi | null>(() => abiOf(address));
  const [tab, setTab] = useState<string | number>("read");
  if (!abi) {
    return (
      <Card>
        <CardTitle component="h2">{t("contract.title")}</CardTitle>
        <CardBody>
          <AbiForm
            take={(given) => {
              keepAbi(address, given);
              setAbi(given);
            }}
          />
        </CardBody>
      </Card>
    );
  }
  const drop = () => {
    forgetAbi(address);
    setAbi(null);
  };
  return (
    <Card>
      <CardHeader
        actions={{
          actions: (
            <Button variant="secondary" size="sm" onClick={drop}>
              {t("contract.other_abi")}
            </Button>
          ),
        }}
      >
        <CardTitle component="h2">{t("contract.title")}</CardTitle>
      </CardHeader>
      <CardBody>
        <Tabs
          activeKey={tab}
          onSelect={(_, key) => {
            setTab(key);
          }}
          aria-label={t("contract.title")}
          unmountOnExit
          mountOnEnter
        >
          <Tab eventKey="read" title={<TabTitleText>{t("contract.read")}</TabTitleText>}>
            <ReadFunctions abi={abi} address={address} />
          </Tab>
          <Tab eventKey="write" title={<TabTitleText>{t("contract.write")}</TabTitleText>}>
            <WriteFunctions abi={abi} address={address} />
          </Tab>
          <Tab eventKey="events" title={<TabTitleText>{t("explorer.events")}</TabTitleText>}>
            <Events abi={abi} address={address} />
          </Tab>
        </Tabs>
      </CardBody>
    </Card>
  );
}
