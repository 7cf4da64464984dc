import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import type { ReactNode } from "react";

export interface Column<T> {
  label: string;
  /** What stands in a row. */
  cell: (row: T) => ReactNode;
  align?: "end";
  width?: 10 | 15 | 20 | 25 | 30 | 35 | 40 | 45 | 50 | 60 | 70 | 80 | 90 | 100;
  nowrap?: boolean;
  /** Left out on a narrow screen. */
  wideOnly?: boolean;
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows: readonly T[];
  id: (row: T) => string | number;
}

function classOf<T>({ align, wideOnly }: Column<T>): string {
  return [align === "end" ? "dolmen-end" : "", wideOnly ? "dolmen-wide" : ""].join(" ").trim();
}

/** A table that becomes a list of named values on a narrow screen. */
export function DataTable<T>({ label, columns, rows, id }: Props<T>) {
  return (
    <Table aria-label={label} variant="compact" gridBreakPoint="grid-md">
      <Thead>
        <Tr>
          {columns.map((column) => (
            <Th
              key={column.label}
              className={classOf(column)}
              {...(column.width === undefined ? {} : { width: column.width })}
              modifier={column.nowrap ? "nowrap" : "wrap"}
            >
              {column.label}
            </Th>
          ))}
        </Tr>
      </Thead>
      <Tbody>
        {rows.map((row) => (
          <Tr key={id(row)}>
            {columns.map((column) => (
              <Td
                key={column.label}
                dataLabel={column.label}
                className={classOf(column)}
                {...(column.nowrap ? { modifier: "nowrap" as const } : {})}
              >
                {column.cell(row)}
              </Td>
            ))}
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}
