/** The lamp, drawn: lit when something is being developed. */
export function Lamp({ lit = false }: { lit?: boolean }) {
  return (
    <svg class={lit ? "lamp lit" : "lamp"} viewBox="0 0 64 64" aria-hidden="true" focusable="false">
      <path class="cord" d="M32 4v13" />
      <path class="shade" d="M14 38a18 18 0 0 1 36 0z" />
      <rect class="rim" x="10" y="38" width="44" height="5" rx="2.5" />
      <path class="rays" d="M20 49l-4 9M32 49v10M44 49l4 9" />
    </svg>
  );
}
