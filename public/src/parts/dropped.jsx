// The fields that were left out for a provider, as the record of a request lists them.

export const Dropped = ({ names }) => <span class="row">{names.split(", ").map((name) => <code key={name}>{name}</code>)}</span>;
