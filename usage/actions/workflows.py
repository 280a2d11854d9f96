"""Making and editing workflows by hand."""

from accounts.actions.audit import audit
from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.models import Workflow

EDITABLE = ("name", "stage", "outcome_unit", "success_target")


def save_workflow(viewer: Viewer, account: Account, workflow: Workflow) -> Workflow:
    """Store a new or changed workflow of the account and say in the audit log what changed.

    Raises IntegrityError when the account has another workflow with that key.
    """
    before = None if workflow._state.adding else Workflow.objects.visible_to(viewer).get(pk=workflow.pk)
    workflow.organization_id, workflow.account_id = account.organization_id, account.pk
    workflow.save()
    changes = {
        name: [str(getattr(before, name)), str(getattr(workflow, name))]
        for name in EDITABLE
        if before is not None and getattr(before, name) != getattr(workflow, name)
    }
    if before is None or changes:
        audit(viewer, "workflow.created" if before is None else "workflow.changed", workflow, workflow.name, changes)
    return workflow
