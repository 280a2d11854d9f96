"""Who can sign in to the demo. Every password is `demo`: the demo listens on this machine only."""

from dataclasses import dataclass

PASSWORD = "demo"  # noqa: S105  no secret: the demo listens on this machine only


@dataclass(frozen=True)
class Person:
    """A sign-in: `seats` are (organization key, account key or '', role)."""

    login: str
    name: str
    title: str
    seats: tuple[tuple[str, str, str], ...]

    @property
    def email(self) -> str:
        return f"{self.login}.example"


def _staff(login: str, name: str, title: str, role: str, vendor: str = "acme-ai") -> Person:
    return Person(login, name, title, ((vendor, "", role),))


def _customer(
    login: str, name: str, title: str, role: str, account: str = "northwind", vendor: str = "acme-ai"
) -> Person:
    return Person(login, name, title, ((vendor, account, role),))


PEOPLE = (
    _staff("admin@acme", "Ada Okafor", "Admin", "admin"),
    _staff("leader@acme", "Lena Fischer", "CS leader", "leader"),
    Person(
        "priya@acme",
        "Priya Nair",
        "CSM, also at Globex Voice",
        (("acme-ai", "", "csm"), ("globex-voice", "", "analyst")),
    ),
    _staff("marco@acme", "Marco Silva", "CSM", "csm"),
    _staff("cto@acme", "Tomás Reyes", "Field CTO", "field_cto"),
    _staff("finance@acme", "Ines Laurent", "Finance", "finance"),
    _staff("analyst@acme", "Noor Haddad", "Analyst", "analyst"),
    _customer("dana@northwind", "Dana Mercer", "Owner at Northwind Robotics", "portal_owner"),
    _customer("finance@northwind", "Felix Grant", "Finance at Northwind Robotics", "portal_finance"),
    _customer("engineer@northwind", "Elif Kaya", "Engineer at Northwind Robotics", "portal_engineer"),
    _customer("viewer@northwind", "Victor Lindqvist", "Viewer at Northwind Robotics", "portal_viewer"),
    _customer("owner@orchid", "Olivia Brandt", "Owner at Orchid Legal, not started yet", "portal_owner", "orchid"),
    _staff("admin@globex", "Anika Rao", "Admin at Globex Voice", "admin", "globex-voice"),
    _customer("owner@sakura", "Haruto Sato", "Owner at Sakura Telecom", "portal_owner", "sakura", "globex-voice"),
)
CSM_LOGINS = {"priya": "priya@acme", "marco": "marco@acme", "anika": "admin@globex"}
FIELD_CTO_LOGINS = {"acme-ai": "cto@acme", "globex-voice": "admin@globex"}
FINANCE_LOGINS = {"acme-ai": "finance@acme", "globex-voice": "admin@globex"}
