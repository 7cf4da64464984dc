import { lazy, useState, type ComponentType } from "react";

/**
 * A component whose code comes when it is shown, or before. Code that is there shows at once; with `lazy` alone something
 * else stands there first, and React changes what stands there no sooner than 300 ms later.
 */
export function loadable<P extends object>(load: () => Promise<ComponentType<P>>) {
  let here: ComponentType<P> | null = null;
  const fetchCode = async () => {
    here = await load();
    return { default: here };
  };
  const Later = lazy(fetchCode) as unknown as ComponentType<P>;
  function Shown(props: P) {
    // The same for as long as it is shown.
    const [Component] = useState<{ of: ComponentType<P> }>(() => ({ of: here ?? Later }));
    return <Component.of {...props} />;
  }
  return { load: fetchCode, Shown };
}
