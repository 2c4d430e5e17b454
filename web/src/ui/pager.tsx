import { Button } from "@mantine/core";
import { useState } from "react";

/** The cursors of the pages so far, kept while the filters stay the same. */
export function usePages(of: string): {
  cursor: string | undefined;
  page: number;
  next: (cursor: string) => void;
  back: () => void;
} {
  const [state, setState] = useState<{ of: string; cursors: string[] }>({ of, cursors: [] });
  const cursors = state.of === of ? state.cursors : [];
  return {
    cursor: cursors.at(-1),
    page: cursors.length + 1,
    next: (cursor) => setState({ of, cursors: [...cursors, cursor] }),
    back: () => setState({ of, cursors: cursors.slice(0, -1) }),
  };
}

interface PagerProps {
  pages: ReturnType<typeof usePages>;
  nextCursor: string | undefined;
  /** What the buttons of the page before and after are called. */
  names?: [back: string, next: string];
  children?: React.ReactNode;
}

export function Pager({ pages, nextCursor, names = ["Newer", "Older"], children }: PagerProps) {
  if (pages.page === 1 && !nextCursor && !children) return null;
  return (
    <div className="pager">
      <span>{children}</span>
      {(pages.page > 1 || nextCursor) && (
        <span className="choices">
          <Button size="compact-xs" variant="default" disabled={pages.page === 1} onClick={pages.back}>
            {names[0]}
          </Button>
          <span>Page {pages.page}</span>
          <Button
            size="compact-xs"
            variant="default"
            disabled={!nextCursor}
            onClick={() => nextCursor && pages.next(nextCursor)}
          >
            {names[1]}
          </Button>
        </span>
      )}
    </div>
  );
}
