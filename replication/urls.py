"""The addresses of rules, executions, tasks and logs, and of a project's replication tab."""

from django.urls import path

from replication.views import editor, executions, jobs, logs, rule_actions, rules, tasks

app_name = "replication"

urlpatterns = [
    path("projects/<int:pk>/replication/", rules.project_rules, name="project"),
    path("replications/", rules.rule_list, name="rules"),
    path("replications/new/", editor.rule_new, name="new-rule"),
    path("replications/<int:pk>/edit/", editor.rule_edit, name="edit-rule"),
    path("replications/<int:pk>/replicate/", rule_actions.rule_replicate, name="replicate"),
    path("replications/<int:pk>/enable/", rule_actions.rule_enable, name="enable-rule"),
    path("replications/<int:pk>/deactivate/", rule_actions.rule_deactivate, name="deactivate-rule"),
    path("replications/<int:pk>/delete/", rule_actions.rule_delete, name="delete-rule"),
    path("jobs/", jobs.job_list, name="jobs"),
    path("jobs/export.csv", jobs.job_export, name="export-jobs"),
    path("executions/<int:pk>/", executions.execution_detail, name="execution"),
    path("executions/<int:pk>/stop/", executions.execution_stop, name="stop"),
    path("executions/<int:pk>/retry/", executions.execution_retry, name="retry"),
    path("executions/<int:pk>/again/", executions.execution_again, name="again"),
    path("executions/<int:pk>/log/", logs.execution_log, name="execution-log"),
    path("executions/<int:pk>/log.txt", logs.execution_log_download, name="execution-log-download"),
    path("tasks/<int:pk>/", tasks.task_detail, name="task"),
    path("tasks/<int:pk>/log/", logs.task_log, name="task-log"),
    path("tasks/<int:pk>/log.txt", logs.task_log_download, name="task-log-download"),
]
