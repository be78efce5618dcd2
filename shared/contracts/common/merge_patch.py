"""JSON Merge Patch, RFC 7396."""


def merge_patch(target: object, patch: object) -> object:
    """`target` with `patch` applied, both plain JSON values; neither is changed.

    Members of an object are merged, `null` removes one; anything else replaces the target.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
