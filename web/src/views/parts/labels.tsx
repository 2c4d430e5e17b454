import { printable } from "../../lib/text";

export function Labels({ of }: { of: Record<string, string> }) {
  return (
    <span className="labels">
      {Object.entries(of).map(([key, value]) => (
        <span key={key} className="label">
          {printable(key)}={printable(value)}
        </span>
      ))}
    </span>
  );
}
