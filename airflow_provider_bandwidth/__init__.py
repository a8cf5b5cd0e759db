"""Apache Airflow provider for Bandwidth hosted-messaging telephone numbers.

Provider discovery imports this package before Airflow's configuration exists, so nothing else is imported here.
"""

__version__ = "0.1.0"
