"""YAML as the rest of the tree is written: lists indented, texts of several lines as they stand, no alias."""
import sys

try:
    import yaml
except ImportError:
    sys.exit("PyYAML is not there (Debian: python3-yaml); scripts/setup.sh test installs it")


class Dumper(yaml.SafeDumper):
    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):
        return True


def text_node(dumper, text):
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Dumper.add_representer(str, text_node)


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def dump(*documents):
    """One text for all of them."""
    return yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, width=150, allow_unicode=True, explicit_start=len(documents) > 1)
