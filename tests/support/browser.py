"""Headless Chromium on a web page, for programs that look at Airflow as a person does.

Installs Debian's packages ``chromium`` and ``chromium-driver`` where they are missing; needs the dependency group
``browser``.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from support import debian
from support.airflow_processes import wait_for

#: Seconds for a page of Airflow's to show something, on a busy machine.
PATIENCE = 60
_PHONE_WIDTH = 390
_ARGUMENTS = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-dev-shm-usage",
    "window-size=1400,1100",
    # It has no business outside this machine.
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)


class Browser:
    """Chromium on Airflow's pages; every wait ends in what was waited for, or in an error with a screenshot.

    :param url: where Airflow is
    :param output: a folder for screenshots
    :param scope: XPath of what holds a form's fields: 3.x shows forms in a dialog
    """

    def __init__(self, url: str, output: Path, *, scope: str = "//*[@role='dialog']") -> None:
        if not (shutil.which("chromium") and shutil.which("chromedriver")):
            debian.install("chromium", "chromium-driver")
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for argument in _ARGUMENTS:
            options.add_argument(f"--{argument}")
        self._driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        self._url = url
        self._output = output
        self._scope = scope
        self._shots = 0

    def quit(self) -> None:
        self._driver.quit()

    def open(self, path: str) -> None:
        self._driver.get(path if "://" in path else f"{self._url}{path}")

    def forget_layout(self) -> None:
        """Show pages as to somebody who has never been here: a graph once looked at leaves tabs no room for names."""
        self._driver.execute_script("localStorage.clear()")

    def log_in(self, landmark: str) -> None:
        """Log in as admin; *landmark* is the XPath of something on the page behind."""
        self.open("/")
        self.find("//input[@name='username']").send_keys("admin")
        self.find("//input[@name='password']").send_keys("admin" + Keys.ENTER)
        self.find(landmark)

    def find(self, xpath: str) -> WebElement:
        """The first element that is there."""
        return self._until(xpath, lambda: next(iter(self._driver.find_elements(By.XPATH, xpath)), None))

    def fill(self, field: str, text: str) -> None:
        """Type into a field of the form, over what stands there."""
        xpath = f"{self._scope}//input[@name='{field}']"

        def is_typed() -> bool:
            element = self.find(xpath)
            self._driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
            try:
                element.send_keys(Keys.CONTROL + "a", Keys.DELETE)
                for character in text:
                    element.send_keys(character)
            except ElementNotInteractableException:  # its section is still unfolding
                return False
            return element.get_attribute("value") == text

        # The form drops characters when it is slower than the typist.
        self._until(f"{field} is {text}", is_typed)

    def value(self, field: str) -> str:
        return str(self.find(f"{self._scope}//input[@name='{field}']").get_attribute("value"))

    def click(self, xpath: str) -> None:
        self._until(xpath, lambda: self._is_clicked(xpath) or None)

    def click_through(self, xpath: str, route: str) -> None:
        """Click a link, and go on where it leads, in a window of its own or not.

        :param route: part of the address of the page behind it
        """
        self.click(xpath)

        def is_there() -> bool:
            self._driver.switch_to.window(self._driver.window_handles[-1])
            return route in self._driver.current_url

        self._until(f"a page at {route}", is_there)

    def _is_clicked(self, xpath: str) -> bool:
        try:
            element = self.find(xpath)
            self._driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
            element.click()
        except (
            ElementClickInterceptedException,
            ElementNotInteractableException,
            StaleElementReferenceException,  # the page has drawn it anew
        ):
            return False
        return True

    def open_section(self, name: str) -> None:
        button = f"//*[@role='dialog']//button[normalize-space(.)='{name}']"
        if self.find(button).get_attribute("aria-expanded") != "true":
            self.click(button)
            self._until(name, lambda: self.find(button).get_attribute("aria-expanded") == "true" or None)

    def see(self, *texts: str) -> None:
        """Wait until every text stands on the page."""
        for text in texts:
            self._until(text, lambda text=text: text in self.text or None)

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript on the page."""
        return self._driver.execute_script(script, *arguments)

    def frame_text(self, *frames: str) -> str:
        """The text of a frame within a frame, by the XPath of each; empty if one is not there (yet)."""
        try:
            for frame in frames:
                found = self._driver.find_elements(By.XPATH, frame)
                if not found:
                    return ""
                self._driver.switch_to.frame(found[0])
            return self.text
        finally:
            self._driver.switch_to.default_content()

    @property
    def text(self) -> str:
        return self._driver.find_element(By.TAG_NAME, "body").text

    @property
    def source(self) -> str:
        return self._driver.page_source

    def shoot(self, name: str) -> None:
        self._shots += 1
        time.sleep(1)  # what slides in has slid in
        self._driver.save_screenshot(str(self._output / f"{self._shots:02d}-{name}.png"))

    def shoot_on_phone(self, page: Path, name: str) -> None:
        """A file as a telephone shows it, light and dark: nothing of it is beside the screen."""
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            screen = {"width": _PHONE_WIDTH, "height": 844, "deviceScaleFactor": 2, "mobile": True}
            self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            self.open(page.as_uri())
            width, height = self.run("const e = document.documentElement; return [e.scrollWidth, e.scrollHeight]")
            expect(width <= _PHONE_WIDTH, f"{page.name} fits a telephone's {_PHONE_WIDTH} pixels: {width}")
            self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**screen, "height": height})
            self.shoot(f"{name}-on-phone-{scheme}")
        self._driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def shoot_element(self, xpath: str, name: str) -> None:
        self._shots += 1
        hide = "for (const e of document.querySelectorAll('.react-flow__panel')) e.style.visibility = 'hidden'"
        self._driver.execute_script(hide)
        self.find(xpath).screenshot(str(self._output / f"{self._shots:02d}-{name}.png"))

    def _until(self, what: str, look: Callable[[], Any]) -> Any:
        def patiently() -> Any:
            try:
                return look()
            except StaleElementReferenceException:
                return None

        try:
            return wait_for(what, patiently, timeout=PATIENCE)
        except TimeoutError:
            self.shoot("not-found")
            raise


def expect(condition: bool, what: str) -> None:
    """Not an assertion, since those can be turned off."""
    if not condition:
        raise SystemExit(f"Not so: {what}.")
