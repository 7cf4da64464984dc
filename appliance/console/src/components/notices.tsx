import { Alert, AlertActionCloseButton, AlertGroup } from "@patternfly/react-core";
import { createContext, useCallback, useContext, useState, type ReactNode } from "react";

interface Notice {
  id: number;
  text: string;
}

const Notices = createContext<(text: string) => void>(() => undefined);

/** Says that something was done, to the eye and to a screen reader. */
export const useNotice = () => useContext(Notices);

const SHOWN_MS = 6_000;
const NOTICES_MAX = 4;
let last = 0;

export function NoticesProvider({ children }: { children: ReactNode }) {
  const [notices, setNotices] = useState<Notice[]>([]);
  const close = useCallback((id: number) => {
    setNotices((shown) => shown.filter((notice) => notice.id !== id));
  }, []);
  const say = useCallback((text: string) => {
    last += 1;
    const id = last;
    setNotices((shown) => [...shown.slice(1 - NOTICES_MAX), { id, text }]);
  }, []);
  return (
    <Notices.Provider value={say}>
      {children}
      <AlertGroup isToast isLiveRegion>
        {notices.map(({ id, text }) => (
          <Alert
            key={id}
            variant="success"
            title={text}
            timeout={SHOWN_MS}
            onTimeout={() => {
              close(id);
            }}
            actionClose={
              <AlertActionCloseButton
                title={text}
                onClose={() => {
                  close(id);
                }}
              />
            }
          />
        ))}
      </AlertGroup>
    </Notices.Provider>
  );
}
