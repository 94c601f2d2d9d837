"""Secrets that a test gives to a node, and the search for them where they have
no business."""

import base64
import hashlib
import os
import re


class Planted:
    def __init__(self, _folder):
        word = lambda: base64.b32encode(os.urandom(15)).decode()
        self.user, self.password = "operator", f"Sasl{word()}"
        self.super_password = f"Super{word()}"
        digest = hashlib.sha1(f"super:{self.super_password}".encode()).digest()
        self.super_hash = base64.b64encode(digest).decode()
        self.super_digest = f"super:{self.super_hash}"
        # Set when it is made. Its last part alone is the secret.
        self.token = ""
        # Lines of the node's and the authority's keys, as their files have them.
        self.keys = []

    def all(self):
        yield "SASL password", self.password
        yield "password of super", self.super_password
        yield "digest of super", self.super_hash
        if self.token:
            yield "token", self.token.split("@")[0].rsplit(".", 1)[1]
        for number, key in enumerate(self.keys):
            yield f"line {number} of the keys", key

    def take_keys(self, pem):
        """The private ones of some PEM text. The first line of a key says of what
        kind it is, and is the same in all."""
        for block in re.findall(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.*?)-----END", pem, re.DOTALL):
            self.keys += block.split()[1:]

    def look_for(self, *folders):
        """For each secret the first file that it is found in, or None."""
        contents = {}
        for folder in folders:
            for path in folder.rglob("*") if folder.is_dir() else [folder]:
                if path.is_file() and not path.is_symlink():
                    contents[path] = path.read_bytes()
        for name, secret in self.all():
            plain = secret.encode()
            forms = [plain, base64.b64encode(plain)[:-4], plain.hex().encode()]
            if secret in self.keys:
                forms.append(base64.b64decode(secret))
            yield name, next((path for path, data in contents.items() if any(one in data for one in forms)), None)
