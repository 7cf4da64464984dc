import { Link } from "react-router";
import { ends, whole } from "../format";
import { useWords } from "../i18n";

/** A block's height that leads to it. */
export function BlockLink({ number }: { number: number | bigint }) {
  const { language } = useWords();
  return <Link to={`/blocks/${number}`}>{whole(number, language)}</Link>;
}

/** A transaction's hash that leads to it. */
export function TransactionLink({ hash }: { hash: string }) {
  return (
    <Link to={`/transactions/${hash}`} className="dolmen-code" title={hash}>
      {ends(hash)}
    </Link>
  );
}

/** An account's address that leads to it. */
export function AccountLink({ address, full = false }: { address: string; full?: boolean }) {
  return (
    <Link to={`/accounts/${address}`} className="dolmen-code" title={full ? undefined : address}>
      {full ? address : ends(address)}
    </Link>
  );
}
