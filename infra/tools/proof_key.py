"""`python -m infra.tools.proof_key (--vault NAME | --data FOLDER)`: a new key that signs day roots.

Makes the private key and puts it where the app reads it: the secret `proof-key` of a vault, or
`secrets.json` (mode 0600) of a laptop's data folder. Prints the id of the public key, which the app
publishes as soon as it signs with the key; then the key before it ends. Restart the app afterwards.
"""

import argparse
import base64
import json
import secrets
import subprocess
import sys
from pathlib import Path

from local.stack import write_by_rename
from shared.adapters.ed25519 import Ed25519Signer
from shared.domain.proof.roots import key_id

SEED_BYTES = 32
VAULT_NAME = "proof-key"


def main(arguments: list[str] | None = None) -> int:
    """Rotate the key. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.proof_key")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--vault", help="name of the vault; uses `az`, signed in")
    place.add_argument("--data", type=Path, help="data folder of a laptop's stack, build/data")
    options = parser.parse_args(arguments)
    seed = secrets.token_bytes(SEED_BYTES)
    text = base64.b64encode(seed).decode()
    try:
        if options.vault is not None:
            _into_vault(options.vault, text)
        else:
            _into_folder(options.data / "secrets.json", text)
    except FileNotFoundError as error:
        remedy = f"{error.filename} does not exist"
        if error.filename == "az":
            remedy = "`az` was not found. Install the Azure CLI, and sign in with `az login`"
        print(f"proof_key: {remedy}.", file=sys.stderr)
        return 1
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"proof_key: {error}", file=sys.stderr)
        return 1
    print(f"{key_id(Ed25519Signer(seed).public_key)}: restart the app, which publishes it")
    return 0


def _into_vault(vault: str, text: str) -> None:
    """Through standard input, so that the key is no argument of a process."""
    command = ["az", "keyvault", "secret", "set", "--vault-name", vault, "-n", VAULT_NAME]
    command += ["--file", "/dev/stdin", "--encoding", "utf-8", "-o", "none"]
    subprocess.run(command, input=text.encode(), check=True)


def _into_folder(path: Path, text: str) -> None:
    kept = json.loads(path.read_text("utf-8"))
    write_by_rename(path, json.dumps({**kept, "proof_key": text}))


if __name__ == "__main__":
    sys.exit(main())
