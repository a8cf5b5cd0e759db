"""A nightly number sync that writes mails: when its plan is unsafe, and when a person has to look at its report.

Needs ``apache-airflow-providers-smtp`` and the connection ``smtp_default``. Any other notifier of Airflow's (Slack,
Teams, PagerDuty) takes the place of the mail: the figures are in its context, as ``bandwidth_plan`` and
``bandwidth_report``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync


def mail(subject, html_content):
    return SmtpNotifier(
        from_email="airflow@example.org",
        to="{{ params.to }}",
        subject=subject,
        html_content=html_content,
        smtp_conn_id="smtp_default",
    )


@dag(
    dag_id="bandwidth_number_sync_mail",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "extract_path": "s3://crm-exports/telephone-numbers.csv",
        "report_folder": "s3://crm-exports/reports",
        "to": "numbers@example.org",
    },
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_number_sync_mail():
    bandwidth_number_sync(
        group_id="sync",
        extract_path="{{ params.extract_path }}",
        column="Phone",
        report_path="{{ params.report_folder }}/{{ run_id }}.html",
        remove_missing=True,
        # On Airflow 3.1 and later, approval="unsafe" asks a person, and this mail tells that somebody is asked.
        on_unsafe_plan=mail(
            subject="Number sync: {{ bandwidth_plan.to_remove }} removals and {{ bandwidth_plan.to_import }} imports "
            "are not sent yet",
            html_content="<p>The plan for {{ bandwidth_plan.place | e }} is unsafe:</p><ul>"
            "{% for finding in bandwidth_plan.findings %}<li>{{ finding | e }}</li>{% endfor %}</ul>",
        ),
        on_failure_callback=mail(
            subject="Number sync: a person has to look",
            html_content="<p>{{ bandwidth_report.verdict | e }}</p>"
            "<p>The page: {{ bandwidth_report.report_path | e }}</p>"
            "<p>Imported: {{ bandwidth_report.imported }}, removed: {{ bandwidth_report.removed }}.</p>",
        ),
    )


bandwidth_number_sync_mail()
