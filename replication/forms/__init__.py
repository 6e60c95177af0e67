"""The forms of rules and their runs, and of what is looked for among executions."""

from replication.forms.editor import RuleEditor
from replication.forms.run import RunForm
from replication.forms.search import ExecutionSearchForm, LogSearchForm, TaskSearchForm

__all__ = ["ExecutionSearchForm", "LogSearchForm", "RuleEditor", "RunForm", "TaskSearchForm"]
