import { NativeSelect, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import { useParam } from "../lib/url";

interface TextFilterProps {
  name: string;
  label: string;
  placeholder?: string;
  className?: string;
}

/** A filter of the address that is typed; it applies on Enter and when the field is left. */
export function TextFilter({ name, label, placeholder, className }: TextFilterProps) {
  const [value, set] = useParam(name);
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  const apply = () => {
    if (typed.trim() !== value) set(typed.trim());
  };
  return (
    <TextInput
      size="xs"
      label={label}
      placeholder={placeholder}
      className={className}
      value={typed}
      onChange={(e) => setTyped(e.currentTarget.value)}
      onBlur={apply}
      onKeyDown={(e) => e.key === "Enter" && apply()}
    />
  );
}

interface ChoiceFilterProps {
  name: string;
  label: string;
  choices: [value: string, label: string][];
}

export function ChoiceFilter({ name, label, choices }: ChoiceFilterProps) {
  const [value, set] = useParam(name);
  return (
    <NativeSelect
      size="xs"
      label={label}
      value={value}
      onChange={(e) => set(e.currentTarget.value)}
      data={choices.map(([v, l]) => ({ value: v, label: l }))}
    />
  );
}
